"""The command line. Needs nothing; no command here talks to a cluster."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bullherd import __version__
from bullherd.cli import main
from bullherd.core.budget import Limits
from bullherd.settings import OperatorSettings, ProcessSettings, ServerSettings


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("BULLHERD_"):
            monkeypatch.delenv(name)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[OperatorSettings]:
    """The settings with which the operator would have been started."""
    settings: list[OperatorSettings] = []

    async def run_operator(given: OperatorSettings) -> int:
        settings.append(given)
        return 7

    monkeypatch.setattr("bullherd.operator.run_operator", run_operator)
    return settings


def start(*flags: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["operator", *flags])
    assert ended.value.code == 7, "the operator's own exit status"


class TestSettings:
    def test_without_a_word_they_are_the_defaults(self, started: list[OperatorSettings]) -> None:
        start()
        (settings,) = started
        assert settings.model_dump() == OperatorSettings().model_dump()
        assert settings.namespace == "default"
        assert settings.connections_dir == Path("/etc/bullherd/connections")
        assert settings.watch_namespaces == ()

    def test_they_come_from_the_environment(
        self, started: list[OperatorSettings], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("BULLHERD_NAMESPACE", "herd")
        monkeypatch.setenv("BULLHERD_POD_NAME", "bullherd-0")
        monkeypatch.setenv("BULLHERD_WATCH_NAMESPACES", "shop, mail,")
        monkeypatch.setenv("BULLHERD_HTTP_PORT", "9090")
        start()
        (settings,) = started
        assert settings.namespace == "herd"
        assert settings.pod_name == "bullherd-0"
        assert settings.watch_namespaces == ("shop", "mail")
        assert settings.http_port == 9090

    def test_they_come_from_flags(self, started: list[OperatorSettings]) -> None:
        start("--namespace", "herd", "--watch-namespaces", "shop,mail", "--tick-seconds", "0.5")
        (settings,) = started
        assert settings.namespace == "herd"
        assert settings.watch_namespaces == ("shop", "mail")
        assert settings.tick_seconds == 0.5

    def test_flags_and_environment_make_one_tree_and_flags_win(
        self, started: list[OperatorSettings], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("BULLHERD_NAMESPACE", "from-environment")
        monkeypatch.setenv("BULLHERD_LEASE_NAME", "from-environment")
        start("--lease-name", "from-flag", "--log-format", "json")
        (settings,) = started
        assert settings.namespace == "from-environment"
        assert settings.lease_name == "from-flag"
        assert settings.log_format == "json"

    def test_no_namespace_to_watch_means_all(
        self, started: list[OperatorSettings], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("BULLHERD_WATCH_NAMESPACES", "")
        start()
        assert started[0].watch_namespaces == ()

    def test_without_limits_there_are_no_budgets(
        self, started: list[OperatorSettings], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("BULLHERD_MAX_TOTAL_REPLICAS", "0")
        monkeypatch.setenv("BULLHERD_NAMESPACE_BUDGETS", "")
        start()
        assert started[0].budget_limits == Limits()

    def test_budgets_are_json(self, started: list[OperatorSettings], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BULLHERD_MAX_TOTAL_REPLICAS", "100")
        monkeypatch.setenv("BULLHERD_NAMESPACE_BUDGETS", '{"shop": 50, "mail": 0, "*": 20}')
        start()
        assert started[0].budget_limits == Limits(100, {"shop": 50, "mail": 0}, 20)

    def test_budgets_may_be_a_flag(self, started: list[OperatorSettings]) -> None:
        start("--namespace-budgets", '{"shop": 50}')
        assert started[0].budget_limits == Limits(None, {"shop": 50})

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ('{"shop": 50', "it is no JSON ("),
            ("shop=50", "it is no JSON ("),
            ("[50]", "it is no JSON object"),
            ("50", "it is no JSON object"),
            ('{"Shop": 50}', "'Shop' is no name of a namespace"),
            ('{"": 50}', "'' is no name of a namespace"),
            ('{"shop": "50"}', 'shop has "50", which is no number of replicas'),
            ('{"shop": -1}', "shop has -1, which is no number of replicas"),
            ('{"*": 1.5}', "* has 1.5, which is no number of replicas"),
            ('{"shop": true}', "shop has true, which is no number of replicas"),
            ('{"shop": null}', "shop has null, which is no number of replicas"),
        ],
    )
    def test_budgets_that_cannot_be_read_are_explained(
        self, text: str, why: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("BULLHERD_NAMESPACE_BUDGETS", text)
        with pytest.raises(SystemExit) as ended:
            main(["operator"])
        assert ended.value.code == 2
        told = capsys.readouterr().err
        assert f"--namespace-budgets (BULLHERD_NAMESPACE_BUDGETS) is {text!r}: {why}" in told
        assert 'Write namespaces with their most replicas, such as {"shop": 50, "*": 20}' in told

    @pytest.mark.parametrize(
        ("command", "settings"), [("operator", OperatorSettings), ("server", ServerSettings)]
    )
    def test_each_has_a_flag_and_a_description(
        self, command: str, settings: type[ProcessSettings], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        told = capsys.readouterr().out
        for name, field in settings.model_fields.items():
            assert f"--{name.replace('_', '-')} " in told
            assert field.description, name

    def test_those_of_the_server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        given: list[ServerSettings] = []

        async def run_server(settings: ServerSettings) -> int:
            given.append(settings)
            return 7

        monkeypatch.setattr("bullherd.server.run.run_server", run_server)
        monkeypatch.setenv("BULLHERD_SERVICE_NAME", "metrics")
        with pytest.raises(SystemExit) as ended:
            main(["server", "--stale-after-seconds", "30", "--https-port", "8443"])
        assert ended.value.code == 7, "the server's own exit status"
        (settings,) = given
        assert (settings.service_name, settings.stale_after_seconds, settings.https_port) == (
            "metrics",
            30,
            8443,
        )
        assert settings.certificate_secret == "bullherd-server-tls"


class TestHelp:
    def help(self, capsys: pytest.CaptureFixture[str], *command: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main([*command, "--help"])
        assert ended.value.code == 0
        return " ".join(capsys.readouterr().out.split())

    @pytest.mark.parametrize(
        "words",
        [
            "operator Run the operator: watch QueueJobs and scale their workers.",
            "server Run the server: external metrics for HPAs, as an aggregated API.",
            "crds Write the CustomResourceDefinitions, one file each, from the models.",
            "reference Write the reference pages, one file each, from the models.",
            "version Print the version.",
        ],
    )
    def test_says_what_each_command_does(self, words: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert words in self.help(capsys)

    @pytest.mark.parametrize("command", ["operator", "crds", "reference"])
    def test_has_words_for_what_is_to_be_given(
        self, command: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        text = self.help(capsys, command)
        assert "tuple[" not in text
        assert command != "operator" or "--watch-namespaces Names" in text


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["operator", "--tick-secs", "1"], "unrecognized arguments: --tick-secs"),
            (["opreator"], "invalid choice: 'opreator'"),
            (["operator", "--tick-seconds"], "expected one argument"),
            (["operator", "--tick-seconds", "soon"], "--tick-seconds (BULLHERD_TICK_SECONDS) is 'soon': "),
            (["operator", "--tick-seconds", "0"], "greater than or equal to 0.1"),
            (["operator", "--http-port", "65536"], "--http-port (BULLHERD_HTTP_PORT) is '65536': "),
            (["operator", "--log-level", "LOUD"], "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
            (["crds"], "required: DIRECTORY"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_in_flags_are_told_in_a_line(
        self,
        arguments: list[str],
        words: str,
        capsys: pytest.CaptureFixture[str],
        started: list[OperatorSettings],
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
        assert words in capsys.readouterr().err.splitlines()[-1]
        assert started == []

    def test_in_the_environment_are_told_by_its_name(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("BULLHERD_LOG_FORMAT", "xml")
        monkeypatch.setenv("BULLHERD_LEASE_DURATION_SECONDS", "1")
        with pytest.raises(SystemExit) as ended:
            main(["operator"])
        assert ended.value.code == 2
        told = capsys.readouterr().err
        assert "BULLHERD_LOG_FORMAT" in told
        assert "BULLHERD_LEASE_DURATION_SECONDS" in told
        assert "Traceback" not in told

    def test_no_command_at_all_shows_what_there_is(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            main([])
        assert ended.value.code not in (0, None)
        captured = capsys.readouterr()
        told = captured.out + captured.err + str(ended.value.code)
        assert "operator" in told
        assert "crds" in told


@pytest.mark.parametrize("command", ["crds", "reference"])
class TestGeneratedFiles:
    def test_are_written_and_then_found_equal(
        self, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = tmp_path / "new" / command
        main([command, str(folder)])
        (file,) = folder.iterdir()
        assert f"wrote {file}" in capsys.readouterr().out
        with pytest.raises(SystemExit) as ended:
            main([command, "--check", str(folder)])
        assert ended.value.code == 0

    def test_are_not_written_again_when_nothing_changed(
        self, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        main([command, str(tmp_path)])
        capsys.readouterr()
        main([command, str(tmp_path)])
        assert capsys.readouterr().out == ""

    def test_check_fails_and_names_the_file_that_differs(
        self, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        main([command, str(tmp_path)])
        (file,) = tmp_path.iterdir()
        edited = file.read_text() + "# edited\n"
        file.write_text(edited)
        with pytest.raises(SystemExit) as ended:
            main([command, str(tmp_path), "--check"])
        assert ended.value.code == 1
        assert str(file) in capsys.readouterr().err
        assert file.read_text() == edited, "a check writes nothing"

    def test_check_fails_when_there_is_none(
        self, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            main([command, str(tmp_path), "--check"])
        assert ended.value.code == 1
        assert list(tmp_path.iterdir()) == []


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    main(["version"])
    assert capsys.readouterr().out.strip() == __version__


def test_it_is_also_a_module_and_starts_without_kopf() -> None:
    """Kopf and the Kubernetes client take a second to import; only the operator needs them."""
    code = (
        "import sys; from bullherd.cli import main; main(['version']); "
        "sys.exit(bool({'kopf', 'kubernetes_asyncio', 'redis'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True)
    run = subprocess.run(
        [sys.executable, "-m", "bullherd", "version"], check=True, timeout=60, capture_output=True, text=True
    )
    assert run.stdout.strip() == __version__
