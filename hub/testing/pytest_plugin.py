"""The fixtures a plugin author's tests get by themselves, by the entry point group pytest11. Kept light to import."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

_RESULTS = pytest.StashKey[dict[str, list[Any]]]()


@pytest.fixture
def tell() -> Callable[..., None]:
    """Tell a plugin something: `tell(module, "invoice_issued", an_invoice(), settings={...})`."""
    from hub.testing.kit import tell_plugin

    return tell_plugin


@pytest.fixture
def check_plugin() -> Callable[[Any], list[str]]:
    """The hooks a plugin implements; a hook or an argument that does not exist is an error."""
    from hub.plugin_host import check_implementations

    return check_implementations


@pytest.fixture
def plugin_context() -> Callable[..., Any]:
    """Make a context: `plugin_context(settings={...}, external_ids={...})`."""
    from hub.testing.kit import a_context

    return a_context


# The conformance kit --------------------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_RESULTS] = {}
    if not config.pluginmanager.has_plugin("hub-conformance-results"):
        config.pluginmanager.register(_Results(config), "hub-conformance-results")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `conformance` is made once for each rule that applies to the module's SUBJECT."""
    if "conformance" not in metafunc.fixturenames:
        return
    from hub.testing.conformance import all_rules

    subject = metafunc.module.SUBJECT
    applying = [
        rule.id
        for rule in all_rules().values()
        if rule.check is not None and (not rule.needs or rule.needs in subject.capabilities)
    ]
    metafunc.parametrize("conformance", applying, indirect=True)


@pytest.fixture
def conformance(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], None]:
    """Try one rule of the quality scale on the module's SUBJECT: `conformance()`.

    A rule that is waived, or that the author's fake remote offers no way to try, is skipped with the reason.
    """
    import structlog

    from hub.testing.conformance.bench import Lab
    from hub.testing.conformance.grading import Verdict, try_rule
    from hub.testing.conformance.rules import all_rules

    subject, rule = request.module.SUBJECT, all_rules()[request.param]

    def try_it() -> None:
        base = tmp_path_factory.getbasetemp() / "conformance"
        base.mkdir(exist_ok=True)
        with structlog.testing.capture_logs():
            result = try_rule(rule, Lab(subject, base))
        told = (result.rule, str(result.verdict), result.reason, sorted(subject.capabilities))
        request.node.user_properties.append(("conformance", json.dumps([subject.connector.name, *told])))
        if result.verdict is Verdict.FAIL:
            pytest.fail(f"{rule.id} {rule.text}\n{result.reason}", pytrace=False)
        if result.verdict is not Verdict.PASS:
            pytest.skip(f"{result.verdict}: {result.reason}")

    return try_it


class _Results:
    """Gathers the results from all processes of a run, and prints the grade at its end."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call":
            return
        for name, value in report.user_properties:
            if name == "conformance":
                connector, *told = json.loads(str(value))
                self._config.stash[_RESULTS].setdefault(connector, []).append(told)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for connector, results in sorted(self._config.stash[_RESULTS].items()):
            from hub.testing.conformance import Report, Result, Verdict, all_rules
            from hub.testing.conformance.grading import untried

            known = {rule: Result(rule, Verdict(verdict), reason) for rule, verdict, reason, _ in results}
            capabilities = frozenset(results[0][3])
            found = [known.get(rule.id) or untried(rule, capabilities) for rule in all_rules().values()]
            terminalreporter.section(f"conformance of {connector}")
            for line in Report(connector, found).lines():
                terminalreporter.write_line(line)
