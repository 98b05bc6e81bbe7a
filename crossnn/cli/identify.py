"""`crossnn identify`: which formula a function, an optimizer or a schedule computes, found by measurement."""

from __future__ import annotations

import click

from crossnn.cli.options import frameworks_here, json_option, write_json
from crossnn.errors import BackendError

ROOTS = {"torch": "torch", "keras": "tensorflow", "tf": "tensorflow", "tensorflow": "tensorflow", "jax": "jax",
         "optax": "jax"}  # fmt: skip
"""How a call begins -> the backend that opens it."""
KINDS = ("activation", "loss", "regularizer", "optimizer", "schedule", "metric", "constraint", "clipping",
         "initializer")  # fmt: skip
SECONDS = 300.0


@click.command()
@click.argument("call")
@click.option("--backend", metavar="NAME", help="Which tensors your own function takes. Default: those of the "
              "framework whose names it uses, else NumPy's arrays.")  # fmt: skip
@click.option("--kind", type=click.Choice(KINDS), help="What your own function is, where its arguments do not tell: "
              "f(x), a loss or a metric f(y, t), a regularizer or a constraint f(w), a schedule f(step), a clipping of "
              "{name: gradient}, or an optimizer f(w, g, state, t) -> (w, state) with state None at first; and as what "
              "a framework's function is read: a loss as a metric, an activation as a constraint.")  # fmt: skip
@click.option("--timeout", type=click.FloatRange(min=0), default=SECONDS, show_default=True, metavar="SECONDS",
              help="After how long it is given up; 0: never.")  # fmt: skip
@json_option
@click.pass_context
def identify(
    ctx: click.Context, call: str, backend: str | None, kind: str | None, timeout: float, json_file: str | None
) -> None:
    """Find the specification, conventions and settings that reproduce CALL: a class or function of a framework, such as
    "torch.optim.NAdam(lr=0.01)", keras.losses.Huber, jax.nn.silu, "torch.optim.lr_scheduler.StepLR(opt, 30)" or
    keras.metrics.F1Score, or your own package.module:function.

    Optimizers, activations, losses, regularizers, learning-rate schedules, metrics, constraints, clippings and
    initializers are known. Nothing of CALL is evaluated but this one name with literal arguments. Exit code 0:
    identified; 1: none matches.
    """
    from crossnn import registry
    from crossnn.identify import around, own, own_source
    from crossnn.identify.running import at_most, kept_apart
    from crossnn.identify.search import identify as search
    from crossnn.identify.text import as_data, as_text

    mine = own.is_own(call)
    frameworks_here([call if mine else "", backend or ""])
    with at_most(timeout, call[:80]), kept_apart() as output:
        found = own.load(call) if mine else None
        adapter = registry.started(backend or (own_source.backend_of(found) if mine else _backend_of(call)))
        answer = search(adapter, around.opened(adapter, call, kind or ""))
    if output.said:
        click.echo(f"{call[:80]} {output.said}", err=True)
    if json_file != "-":
        click.echo(as_text(answer))
        if mine and not kind and not answer.matched:
            click.echo(f"\nread as a function of kind {answer.kind!r}: --kind says otherwise")
    if json_file:
        write_json(json_file, as_data(answer))
    if not answer.matched:
        ctx.exit(1)


def _backend_of(call: str) -> str:
    from crossnn import registry

    root = call.strip().partition(".")[0]
    if root not in ROOTS:
        raise BackendError(
            f"{call[:80]!r}: calls begin with {', '.join(ROOTS)}; your own function is named as package.module:function"
        )
    backend = registry.find(ROOTS[root])
    if root in backend.natives_missing:
        raise BackendError(f"{call[:80]!r} needs {root}, not installed here: {backend.hint}")
    return backend.name
