"""The graphs that engines make: dead ends and duplicates are there when they are recorded, and gone where it runs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossnn.adapter import Adapter, BaseAdapter
from crossnn.catalogue.load import load_catalogue
from crossnn.drawing.hlo import hlo_view
from crossnn.drawing.making import attempt, named
from crossnn.drawing.stablehlo import stablehlo_view
from crossnn.drawing.view import View
from crossnn.formula.graph import map_tree
from crossnn.parity.compute import function_of
from crossnn.trace.subject import traced

STAGES: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("numpy", "eager"): ("executed",),
    ("numpy", "compiled"): ("recorded", "simplified", "planned"),
    ("torch", "eager"): ("executed", "autograd"),
    ("torch", "compiled"): ("captured", "core ATen", "kernels"),
    ("tensorflow", "eager"): ("executed",),
    ("tensorflow", "graph"): ("graph", "after Grappler"),
    ("tensorflow", "xla"): ("HLO", "optimised HLO"),
    ("jax", "eager"): ("executed",),
    ("jax", "jit"): ("jaxpr", "StableHLO", "optimised HLO"),
}
COMPILED = [(backend, mode) for backend, mode in STAGES if mode != "eager"]
EXPONENTIAL = {"exp", "Exp", "exponential"}
PRODUCT = {"mul", "Mul", "multiply"}
ROOT = Path(__file__).resolve().parents[1]
GetAdapter = Callable[..., Adapter]


def chain(adapter: Adapter) -> Callable[..., Any]:
    """The lecture's d = b*a + 1, with the product and the sum once more, and one value that nobody needs."""
    primitives = adapter.primitives

    def chain(a: Any, b: Any) -> Any:
        c, c2 = b * a, b * a
        d, e = c + 1.0, c2 + 1.0
        primitives["exp"](a)
        return d + e - e

    return chain


def training_step(adapter: Adapter) -> Callable[..., Any]:
    """Loss, gradients and new parameters of a network of two layers."""
    meaning = adapter.primitives

    def loss(params: Any, x: Any, t: Any) -> Any:
        hidden = meaning["tanh"](meaning["matmul"](x, params["w1"]) + params["b1"])
        return meaning["mean"]((meaning["matmul"](hidden, params["w2"]) - t) ** 2)

    def step(params: Any, x: Any, t: Any) -> Any:
        value, gradients = adapter.value_and_grad(loss)(params, x, t)
        return value, {name: params[name] - 0.1 * gradients[name] for name in params}

    return step


def tensors(adapter: Adapter, tree: Any) -> Any:
    return {key: tensors(adapter, one) for key, one in tree.items()} if isinstance(tree, dict) else adapter.tensor(tree)


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape)


def sound(view: View) -> None:
    """Everything that a picture relies on."""
    assert view.vertices, view.note
    keys = [one.key for one in view.vertices]
    assert len(keys) == len(set(keys))
    known = {one.key: one for one in view.vertices}
    assert all(key in known for one in view.vertices for key in one.inputs)
    assert view.results
    assert all(key in known for key in view.results)
    assert all(known[one.within].kind == "fused" for one in view.vertices if one.within)
    assert all(not one.inputs for one in view.vertices if one.kind in ("input", "constant"))
    assert all(count > 0 for count in view.operations.values())
    assert 0 <= view.kernels <= len(view.vertices)
    assert view.text.strip()
    reached: set[str] = set()
    pending = list(view.results)
    while pending:
        key = pending.pop()
        if key not in reached:
            reached.add(key)
            pending += known[key].inputs
    assert any(known[key].kind == "input" for key in reached)
    seen: set[str] = set()
    for one in view.vertices:  # inputs first, but for what a fused vertex holds
        assert all(key in seen for key in one.inputs) or view.engine in ("tensorflow", "torch"), one
        seen.add(one.key)


def count(view: View, names: set[str]) -> int:
    return sum(number for name, number in view.operations.items() if name in names)


def products(view: View) -> int:
    """How often two arguments are multiplied."""
    arguments = {one.key for one in view.vertices if one.kind == "input"}
    return sum(one.operation in PRODUCT and arguments >= set(one.inputs) for one in view.vertices)


@pytest.fixture(scope="module")
def made(adapter: GetAdapter) -> Callable[[str, str], list[View]]:
    """The views of the chain, made once."""
    known: dict[tuple[str, str], list[View]] = {}

    def get(backend: str, mode: str) -> list[View]:
        if (backend, mode) not in known:
            one = adapter(backend)
            given = [one.tensor(numbers(10)), one.tensor(numbers(10) + 1)]
            known[backend, mode] = list(one.views(chain(one), given, mode))
        return known[backend, mode]

    return get


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "mode"), STAGES)
def test_every_stage_is_made_and_sound(backend: str, mode: str, made: Callable[[str, str], list[View]]) -> None:
    views = made(backend, mode)
    assert tuple(view.stage for view in views) == STAGES[backend, mode]
    for view in views:
        assert view.engine == backend
        sound(view)
        assert "not made" not in view.note
    names = {one.name for one in views[0].vertices if one.kind == "input"}
    assert names == {"a", "b"}
    for view in views:
        assert "site-packages" not in view.text
        assert str(ROOT) not in view.text


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "mode"), [key for key in STAGES if key[1] == "eager"])
def test_imperatively_everything_runs(backend: str, mode: str, made: Callable[[str, str], list[View]]) -> None:
    view = made(backend, mode)[0]
    assert count(view, EXPONENTIAL) == 1
    assert products(view) == 2
    assert sum(view.operations.values()) == view.kernels == 7


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "mode"), COMPILED)
def test_what_is_dead_or_double_is_gone_where_it_runs(
    backend: str, mode: str, made: Callable[[str, str], list[View]]
) -> None:
    first, *_, last = made(backend, mode)
    assert count(first, EXPONENTIAL) == 1
    assert products(first) == 2
    assert count(last, EXPONENTIAL) == 0
    assert products(last) == 1
    assert last.kernels < sum(first.operations.values())


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "mode"), [("jax", "jit"), ("tensorflow", "xla"), ("torch", "compiled")])
def test_compilers_make_one_kernel_of_the_chain(
    backend: str, mode: str, made: Callable[[str, str], list[View]]
) -> None:
    last = made(backend, mode)[-1]
    fused = [one for one in last.vertices if one.kind == "fused"]
    assert len(fused) == last.kernels == 1
    assert {one.within for one in last.vertices if one.kind == "operation"} == {fused[0].key}


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "mode"), [("jax", "jit"), ("tensorflow", "xla")])
def test_nothing_of_the_text_is_lost(backend: str, mode: str, adapter: GetAdapter) -> None:
    """Kernels are counted in the text of the entry computation, by another rule than that of the reader."""
    one = adapter(backend)
    params = {"w1": numbers(4, 5), "b1": numbers(5), "w2": numbers(5, 2)}
    given = [tensors(one, params), one.tensor(numbers(3, 4)), one.tensor(numbers(3, 2))]
    view = list(one.views(training_step(one), given, mode))[-1]
    entry = view.text.split("\nENTRY")[1]
    assert entry.count(" fusion(") == sum(each.kind == "fused" for each in view.vertices) > 1
    assert entry.count(" dot(") == sum(each.operation == "dot" and not each.within for each in view.vertices)
    assert view.text.count(" tanh(") == view.operations["tanh"] == 1


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "mode"), STAGES)
def test_a_training_step_has_graphs(backend: str, mode: str, adapter: GetAdapter) -> None:
    one = adapter(backend)
    params = {"w1": numbers(4, 5), "b1": numbers(5), "w2": numbers(5, 2)}
    given = [tensors(one, params), one.tensor(numbers(3, 4)), one.tensor(numbers(3, 2))]
    stages = 0
    for view in one.views(training_step(one), given, mode):
        stages += 1
        sound(view)
        if view.stage != "autograd":
            assert {one.name for one in view.vertices if one.kind == "input"} >= {"w1", "b1", "w2", "x", "t"}
            assert len(view.results) == 4
    assert stages == len(STAGES[backend, mode])


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "mode"), STAGES)
def test_rows_of_the_catalogue_have_graphs(backend: str, mode: str, adapter: GetAdapter) -> None:
    """What compilers make of windows, loops, choices and indices; all but inductor's kernels, which take seconds."""
    one, catalogue = adapter(backend), load_catalogue()
    for name in "gelu softmax huber batch_norm lstm conv2d max_pool2d embedding self_attention adam xor".split():
        row = traced(catalogue.find(name), catalogue, {}, {}, 0)
        function = function_of(row.graph, name, one, mode)
        given = [map_tree(one.tensor, tree) for tree in row.arguments.values()]
        views = list(itertools.islice(one.views(function, given, mode), 2 if backend == "torch" else 9))
        assert len(views) == min(len(STAGES[backend, mode]), 2 if backend == "torch" else 9)
        for view in views:
            sound(view)
            if view.stage != "autograd":
                assert len(view.results) <= len(row.graph.results)


@pytest.mark.parametrize(("length", "kernels"), [(10, 4), (100_000, 1)])
def test_planned_numpy_does_large_arrays_in_one_block(length: int, kernels: int, adapter: GetAdapter) -> None:
    one = adapter("numpy")
    view = list(one.views(chain(one), [numbers(length), numbers(length)], "compiled"))[-1]
    sound(view)
    assert view.operations == {"multiply": 1, "add": 2, "subtract": 1}
    assert view.kernels == kernels
    assert ("for part" in view.text) == (kernels == 1)


def test_autograd_goes_from_the_result_to_the_parameters(adapter: GetAdapter) -> None:
    one = adapter("torch")
    views = list(one.views(chain(one), [one.tensor(numbers(3)), one.tensor(numbers(3))], "eager"))
    operations = dict(views[1].operations)
    assert operations["MulBackward0"] == 2
    assert operations["AccumulateGrad"] == 2
    assert "ExpBackward0" not in operations


def test_an_adapter_without_graphs_has_none() -> None:
    assert list(BaseAdapter().views(lambda x: x, [1.0], "eager")) == []


def test_a_view_that_cannot_be_made_says_why() -> None:
    def fails() -> View:
        raise RuntimeError("no such\n  compiler")

    view = attempt("torch", "kernels", fails, public=False)
    assert (view.vertices, view.results, view.note) == ((), (), "not made: RuntimeError: no such compiler")


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (({"w": 1, "b": 2}, 3), ({"w": "w", "b": "b"}, "x")),
        (({"w": 1}, {"w": 2}), ({"w": "params.w"}, {"w": "x.w"})),
        (((1, 2), 3), (("params.0", "params.1"), "x")),
        ((1, 2, 3), ("params", "x", "rest0")),
    ],
)
def test_tensors_are_called_by_keys_and_parameters(tree: Any, expected: Any) -> None:
    assert named(lambda params, x, *rest: None, tree) == expected


HLO = """HloModule jit_f, is_scheduled=true, entry_computation_layout={(f64[10]{0}, f64[10]{0})->f64[10]{0}}

%fused_computation (param_0: f64[10], param_1.2: f64[10]) -> f64[10] {
  %param_0 = f64[10]{0} parameter(0)
  %param_1.2 = f64[10]{0} parameter(1)
  %multiply.0 = f64[10]{0} multiply(%param_0, %param_1.2), metadata={op_name="jit(f)/mul" source_line=3}
  %constant.1 = f64[] constant(1)
  %broadcast.0 = f64[10]{0} broadcast(%constant.1), dimensions={}
  ROOT %add.0 = f64[10]{0} add(%multiply.0, %broadcast.0)
}

ENTRY %main.5 (a.1: f64[10], b.1: f64[10]) -> (f64[10], f64[10]) {
  %a.1 = f64[10]{0} parameter(0), metadata={op_name="a"}
  %b.1 = f64[10]{0} parameter(1)
  this line says nothing
  %fusion = f64[10]{0} fusion(f64[10]{0} %b.1, f64[10]{0} %a.1), kind=kLoop, calls=%fused_computation
  %bitcast = f64[10]{0} bitcast(%fusion)
  %sine.1 = f64[10]{0} sine(%bitcast)
  ROOT %tuple = (f64[10]{0}, /*index=1*/f64[10]{0}) tuple(%fusion, %sine.1)
}
"""


def test_hlo_is_read_from_its_text() -> None:
    view = hlo_view(HLO, "jax", "optimised HLO", ["a", "b"])
    known = {one.key: one for one in view.vertices}
    assert view.operations == {"multiply": 1, "broadcast": 1, "add": 1, "sine": 1}
    assert view.kernels == 2
    assert known["fusion"].kind == "fused"
    assert known["fusion"].inputs == ("b.1", "a.1")
    assert known["fusion/multiply.0"].inputs == ("b.1", "a.1")
    assert known["fusion/multiply.0"].within == "fusion"
    assert known["fusion/constant.1"].name == "1"
    assert known["sine.1"].inputs == ("fusion",)
    assert (known["a.1"].name, known["a.1"].shape) == ("a", "f64[10]")
    assert view.results == ("fusion", "sine.1")
    sound(view)


STABLEHLO = """module @jit_f attributes {mhlo.num_partitions = 1 : i32} {
  func.func public @main(%arg0: tensor<10xf64>, %arg1: tensor<2x3xf64> {mhlo.x = "y"}) -> (tensor<10xf64> {r = ""}) {
    %0 = stablehlo.multiply %arg0, %arg0 : tensor<10xf64>
    %cst = stablehlo.constant dense<1.000000e+00> : tensor<f64>
    %1 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f64>) -> tensor<10xf64>
    %2 = call @helper(%0, %1) : (tensor<10xf64>, tensor<10xf64>) -> tensor<10xf64>
    %3:2 = stablehlo.while(%iterArg = %2, %iterArg_0 = %0) : tensor<10xf64>, tensor<10xf64>
    cond {
      %5 = stablehlo.sine %iterArg : tensor<10xf64>
      stablehlo.return %5 : tensor<10xf64>
    } do {
      stablehlo.return %iterArg, %iterArg_0 : tensor<10xf64>, tensor<10xf64>
    }
    return %3#1 : tensor<10xf64>
  }
  func.func private @helper(%arg0: tensor<10xf64>, %arg1: tensor<10xf64>) -> tensor<10xf64> {
    %0 = stablehlo.add %arg0, %arg1 : tensor<10xf64>
    return %0 : tensor<10xf64>
  }
}
"""


def test_stablehlo_is_read_from_its_text() -> None:
    view = stablehlo_view(STABLEHLO, "jax", "StableHLO", ["x", "unused"])
    assert view.operations == {"multiply": 1, "broadcast_in_dim": 1, "add": 1, "while": 1}
    known = {one.key: one for one in view.vertices}
    assert known["%2/%0"].inputs == ("%0", "%1")
    assert known["%3"].inputs == ("%2/%0", "%0")
    assert (known["%arg1"].name, known["%arg1"].shape) == ("unused", "f64[2, 3]")
    assert known["%cst"].name == "1"
    assert view.results == ("%3",)
    sound(view)


@pytest.mark.parametrize("text", ["", "HloModule nothing", "{{{", "ENTRY {\n}\n"])
def test_text_without_a_graph_is_refused_or_empty(text: str) -> None:
    for read in (lambda: hlo_view(text, "jax", "HLO"), lambda: stablehlo_view(text, "jax", "StableHLO")):
        assert not attempt("jax", "HLO", read).vertices


KERNELS = """
cpp_fused_add_where_0 = async_compile.cpp_pybinding(['const double*', 'double*', 'double*'], r\'\'\'
extern "C"  void  kernel(const double* in_ptr0,
                       double* in_out_ptr0,
                       double* out_ptr0)
{
    auto out_ptr1 = in_out_ptr0;
    {
        double tmp_acc0 = 0;
        for(int64_t x0=static_cast<int64_t>(0L); x0<static_cast<int64_t>(10L); x0+=static_cast<int64_t>(4L))
        {
            {
                if(C10_LIKELY(x0 >= static_cast<int64_t>(0) && x0 < static_cast<int64_t>(8L)))
                {
                    auto tmp0 = at::vec::VectorizedN<double,2>::loadu(in_ptr0 + static_cast<int64_t>(x0));
                    auto tmp1 = static_cast<double>(2.5);
                    auto tmp2 = at::vec::VectorizedN<double,2>(tmp1);
                    auto tmp3 = at::vec::VecMask<double,2>(tmp0 > tmp2);
                    auto tmp4 = decltype(tmp2)::blendv(tmp0, tmp2, tmp3.template cast<double,2>());
                    tmp_acc0_vec = tmp_acc0_vec + tmp4;
                    tmp4.store(out_ptr1 + static_cast<int64_t>(x0));
                }
                if(C10_UNLIKELY(x0 >= static_cast<int64_t>(8L) && x0 < static_cast<int64_t>(10L)))
                {
                    auto tmp0 = in_ptr0[static_cast<int64_t>(x0)];
                    tmp_acc0 = tmp_acc0 + std::exp(tmp0);
                }
            }
        }
        tmp_acc0 = tmp_acc0 + at::vec::vec_reduce_all<double, 2>(tmp_acc0_vec);
        out_ptr0[static_cast<int64_t>(0L)] = static_cast<double>(-(tmp_acc0));
    }
}
\'\'\')

class Runner:
    def call(self, args):
        arg0_1, arg1_1 = args
        args.clear()
        assert_size_stride(arg0_1, (10, ), (1, ), 'input')
        buf0 = empty_strided_cpu((5, 2), (2, 1), torch.float64)
        extern_kernels.mm(arg1_1, reinterpret_tensor(arg0_1, (2, 5), (1, 2), 0), out=buf0)
        buf1 = buf0; del buf0  # reuse
        buf2 = empty_strided_cpu((), (), torch.float64)
        cpp_fused_add_where_0(arg0_1, buf1, buf2)
        return (buf1, buf2, )
"""


def test_kernels_are_read_from_the_code_that_calls_them(require: Callable[[str], None]) -> None:
    require("torch")
    from importlib import import_module

    view = import_module("crossnn.backends.torch_kernels").kernel_view(KERNELS, ["x", "w"])
    known = {one.key: one for one in view.vertices}
    product, kernel = (one for one in view.vertices if one.kind != "input" and not one.within)
    assert (product.operation, product.inputs) == ("mm", ("arg1_1", "arg0_1"))
    assert (kernel.operation, kernel.kind) == ("cpp_fused_add_where_0", "fused")
    assert kernel.inputs == ("arg0_1", product.key)
    inner = [one for one in view.vertices if one.within]
    assert [one.operation for one in inner if one.kind == "operation"] == ["gt", "where", "sum", "neg"]
    (number,) = (one for one in inner if one.kind == "constant")
    assert number.name == "2.5"
    comparison, choice, total, opposite = (one for one in inner if one.kind == "operation")
    assert comparison.inputs == ("arg0_1", number.key)
    assert choice.inputs == (comparison.key, number.key, "arg0_1")
    assert (total.inputs, opposite.inputs) == ((choice.key,), (total.key,))
    assert view.results == (kernel.key,)
    assert (known["arg0_1"].name, known["arg1_1"].name) == ("x", "w")
    assert view.kernels == 2
    sound(view)
