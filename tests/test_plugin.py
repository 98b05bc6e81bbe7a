"""The pytest plugin, in suites of its own: fixture, markers, options, and nothing for suites that use none of them."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

SUITE = """
    import numpy as np
    import pytest

    def right(params, x):
        return np.tanh(x @ params["kernel"] + params["bias"])

    def wrong(params, x):
        return np.tanh(x @ params["kernel"])

    def inside(params, x):
        return np.tanh(np.dot(x, params["kernel"]) + params["bias"])

    PARAMS = {"kernel": (3, 2), "bias": (2,)}

    def ports(one):
        return {"right": ("numpy", right), "port": ("numpy", one)}
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder for tests of its own, in which JAX is not installed."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("COLUMNS", "250")
    pytester.makeconftest(
        """
        from crossnn import registry
        from crossnn.registry import Backend

        absent = Backend("jax", "no:Thing", ("no_such_jax",), "pip install 'crossnn[jax]'", ("eager",))
        registry.BUILT_IN = {**registry.BUILT_IN, "jax": absent}
        """
    )
    return pytester


def run(suite: pytest.Pytester, tests: str, *options: str) -> pytest.RunResult:
    suite.makepyfile(SUITE + tests)
    return suite.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:xdist", "-W", "error", *options)


def test_ports_that_agree_pass_and_give_the_report(suite: pytest.Pytester) -> None:
    found = run(
        suite,
        """
    def test_layer(crossnn_parity):
        report = crossnn_parity(ports(inside), {"x": (4, 3)}, params=PARAMS)
        assert {one.dtype for one in report.compared} == {"float32"}
        assert {one.seed for one in report.compared} == {0, 1}
    """,
        "--crossnn-dtype=float32",
        "--crossnn-seeds=2",
    )
    found.assert_outcomes(passed=1)


def test_a_failure_is_readable_and_has_no_traceback_of_ours(suite: pytest.Pytester) -> None:
    found = run(
        suite,
        """
    def test_layer(crossnn_parity):
        crossnn_parity(ports(wrong), {"x": (4, 3)}, params=PARAMS)

    def test_plain():
        from crossnn import assert_parity
        assert_parity(ports(wrong), {"x": (4, 3)}, params=PARAMS)
    """,
    )
    found.assert_outcomes(failed=2)
    text = found.stdout.str()
    assert text.count("E     likely cause: missing bias (tried): the reference agrees with it when 'bias' is 0") == 2
    assert ': in test_layer\n>   crossnn_parity(ports(wrong), {"x": (4, 3)}, params=PARAMS)\nE   1 port beside' in text
    assert "compare.py" not in text
    assert "pytest_plugin.py" not in text
    found.stdout.fnmatch_lines(
        ["FAILED *::test_layer - port 'port' departs from 'right' at output 'output'* missing bias"]
    )


MARKED = """
    @pytest.mark.crossnn_backend("numpy")
    def test_here(): ...

    @pytest.mark.crossnn_backend("jax")
    def test_there():
        raise AssertionError("must not run")
"""


@pytest.mark.parametrize(
    ("options", "outcomes", "says"),
    [
        (
            [],
            {"passed": 1, "skipped": 1},
            "backend jax needs no_such_jax, not installed here: pip install 'crossnn[jax]'",
        ),
        (["--crossnn-require=jax"], {"passed": 1, "errors": 1}, "not installed here: pip install 'crossnn[jax]' (--cr"),
        (["--crossnn-require=all"], {"passed": 1, "errors": 1}, "backend jax needs no_such_jax"),
        (["--crossnn-backend=torch"], {"skipped": 2}, "backend numpy is not among --crossnn-backend torch"),
    ],
)
def test_markers_of_backends(suite: pytest.Pytester, options: list[str], outcomes: dict[str, int], says: str) -> None:
    found = run(suite, MARKED, "-rs", *options)
    found.assert_outcomes(**outcomes)
    assert says in found.stdout.str()


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--crossnn-backend=nunpy", "--crossnn-backend: unknown backend 'nunpy'; did you mean 'numpy'"),
        ("--crossnn-backend=all", "--crossnn-backend: unknown backend 'all'"),
        ("--crossnn-require=torch,nunpy", "--crossnn-require: unknown backend 'nunpy'; did you mean 'numpy'"),
        ("--crossnn-dtype=float23", "--crossnn-dtype: unknown dtype 'float23'; did you mean 'float32'"),
        ("--crossnn-dtype=,", "--crossnn-dtype: nothing is named"),
        ("--crossnn-seeds=0", "--crossnn-seeds: 0 given; give the number of seeds, 1 or more"),
    ],
)
def test_a_bad_option_is_one_usage_error(suite: pytest.Pytester, option: str, says: str) -> None:
    found = run(suite, MARKED, option)
    assert found.ret == pytest.ExitCode.USAGE_ERROR
    found.stderr.fnmatch_lines([f"ERROR: {says}*"])
    assert found.stdout.str() == ""


def test_ports_that_are_no_dictionary_are_refused(suite: pytest.Pytester) -> None:
    found = run(
        suite,
        """
    def test_list(crossnn_parity):
        crossnn_parity([right, inside], {"x": (4, 3)}, params=PARAMS)
    """,
    )
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(["E *CrossnnError: ports is of type list; give *"])


PARTLY = """
    def test_layer(crossnn_parity):
        crossnn_parity({{**ports({port}), "jax": inside}}, {{"x": (4, 3)}}, params=PARAMS, reference="right")
"""


def test_without_a_framework_the_others_are_compared(suite: pytest.Pytester) -> None:
    found = run(suite, PARTLY.format(port="inside"), "-rs")
    found.assert_outcomes(skipped=1)
    assert "all agree; 4 tensors; not compared: backend jax needs no_such_jax" in found.stdout.str()


def test_without_a_framework_a_mistake_of_the_others_fails(suite: pytest.Pytester) -> None:
    run(suite, PARTLY.format(port="wrong")).assert_outcomes(failed=1)


def test_suites_that_use_nothing_import_nothing(suite: pytest.Pytester) -> None:
    suite.makeconftest("")
    suite.makepyfile(
        """
        import sys

        def test_nothing():
            assert "crossnn.ports" not in sys.modules
            assert "numpy" not in sys.modules
            assert not {"torch", "tensorflow", "jax", "click"} & set(sys.modules)
        """
    )
    suite.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:xdist", "--strict-markers").assert_outcomes(passed=1)
