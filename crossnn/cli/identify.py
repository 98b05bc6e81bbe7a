"""`crossnn identify`: which formula a function, a loss or an optimizer computes, found by measurement."""

from __future__ import annotations

import click

from crossnn.cli.options import frameworks_here, json_option, write_json
from crossnn.errors import BackendError

ROOTS = {"torch": "torch", "keras": "tensorflow", "tf": "tensorflow", "tensorflow": "tensorflow", "jax": "jax",
         "optax": "jax"}  # fmt: skip
"""How a call begins -> the backend that opens it."""


@click.command()
@click.argument("call")
@click.option("--backend", metavar="NAME", help="Which tensors your own function takes. Default: those of the "
              "framework whose names it uses, else NumPy's arrays.")  # fmt: skip
@click.option("--kind", type=click.Choice(["activation", "loss", "regularizer", "optimizer"]), help="What your own "
              "function is, where its number of arguments does not tell: f(x), f(y, t), f(w) of a regularizer, or "
              "f(w, g, state, t) -> (w, state) with state None at first.")  # fmt: skip
@json_option
@click.pass_context
def identify(ctx: click.Context, call: str, backend: str | None, kind: str | None, json_file: str | None) -> None:
    """Find the specification, conventions and settings that reproduce CALL: a class or function of a framework, such as
    "torch.optim.NAdam(lr=0.01)", keras.losses.Huber or jax.nn.silu, or your own package.module:function.

    Nothing of CALL is evaluated but this one name with literal arguments. Exit code 0: identified; 1: none matches.
    """
    from crossnn import registry
    from crossnn.identify import own, own_source
    from crossnn.identify.search import identify as search

    mine = own.is_own(call)
    if not mine and kind:
        raise click.UsageError("--kind is for your own function: what a framework's call is, the framework says")
    frameworks_here([call if mine else "", backend or ""])
    found = own.load(call) if mine else None
    adapter = registry.started(backend or (own_source.backend_of(found) if mine else _backend_of(call)))
    if mine and kind and own_source.required(found) >= (4 if kind == "optimizer" else 1):
        opened = own.opened(call, found, kind, adapter.tensor, adapter.array)
    else:
        opened = adapter.opened(call)
    answer = search(adapter, opened)
    from crossnn.identify.text import as_data, as_text

    if json_file != "-":
        click.echo(as_text(answer))
    if json_file:
        write_json(json_file, as_data(answer))
    if not answer.matched:
        ctx.exit(1)


def _backend_of(call: str) -> str:
    root = call.strip().partition(".")[0]
    if root not in ROOTS:
        raise BackendError(
            f"{call[:80]!r}: calls begin with {', '.join(ROOTS)}; your own function is named as package.module:function"
        )
    return ROOTS[root]
