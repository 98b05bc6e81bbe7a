"""`crossnn info`: the backends found here. Nothing is imported; `--probe` starts each backend in a child process."""

from __future__ import annotations

import json

import click


@click.command()
@click.option("--probe", is_flag=True, help="Start every installed backend and list the devices on which it runs.")
def info(probe: bool) -> None:
    """The backends, versions, modes and devices found here, and how to install what is missing."""
    from crossnn import registry
    from crossnn.report.document import plain_table
    from crossnn.runs import machine

    rows, notes = [], []
    for name, backend in registry.backends().items():
        missing = backend.missing
        versions = ", ".join(f"{package} {machine.version(package) or '?'}" for package in backend.needs)
        devices = "-" if missing else "not probed"
        if probe and not missing:
            devices, reasons = _devices(name)
            notes += [f"{name}: {reason}" for reason in reasons]
        modes = ", ".join(getattr(backend, "modes", ())) or "-"
        state = f"no: {backend.hint}" if missing else "yes"
        if not missing and (lacking := backend.natives_missing):
            notes.append(f"{name}: some of its natives are in {', '.join(lacking)}, not installed here: {backend.hint}")
        rows.append([name, state, "-" if missing else versions, modes, devices])
    click.echo(plain_table(["backend", "installed", "version", "modes", "devices"], rows))
    found = machine.describe()
    cores = found["cores"]
    click.echo(
        f"\n{found['python']}; {found['system']}; {found['processor']}, {cores['usable']} of {cores['logical']} ",
        nl=False,
    )
    click.echo(f"cores; {found['memory_gib']} GiB; GPUs: {'; '.join(found['gpus']) or 'none'}")
    click.echo(f"crossnn {found['crossnn']}, commit {found['commit'] or 'unknown'}")
    for note in notes:
        click.echo(note)
    if not probe:
        click.echo("'crossnn info --probe' starts every backend and lists its devices.")


def _devices(name: str) -> tuple[str, list[str]]:
    """Where a backend starts, and why it does not start elsewhere."""
    from crossnn.runs.child import Child, ChildEndedError, ChildTimeoutError

    child = Child(name, "any", 1, probe=True)
    try:
        found = json.loads(child.receive(300.0))["devices"]
    except ChildEndedError as error:
        return "none", [str(error)]
    except ChildTimeoutError:
        return "none", ["not started after 300 s"]
    finally:
        child.close()
    reasons = [f"{device}: {facts['reason']}" for device, facts in found.items() if "reason" in facts]
    works = [device for device, facts in found.items() if "reason" not in facts]
    return ", ".join(works) or "none", reasons if not works else []
