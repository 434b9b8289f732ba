"""Addresses and the kind of cluster are chosen so that two checkouts do not meet. Needs nothing."""

import ipaddress
from pathlib import Path

import pytest

from dev.clusters import choice
from dev.clusters.current import Current
from dev.errors import DevError
from dev.node.layout import LINK_RANGE, Layout, free_link
from dev.paths import Checkout


def test_a_free_link_is_where_the_checkout_says() -> None:
    link = free_link("00000000", [])
    assert (link.host, link.node) == ("172.30.0.1", "172.30.0.2")
    assert free_link("00000001", []).host == "172.30.0.5"


@pytest.mark.parametrize(
    ("in_use", "host"),
    [
        (["172.30.0.1/30"], "172.30.0.5"),
        (["172.30.0.0/24"], "172.30.1.1"),
        (["172.30.0.2/32", "172.30.0.4/31"], "172.30.0.9"),
        (["10.0.0.1/8", "192.168.0.0/16"], "172.30.0.1"),
    ],
    ids=["taken by another node", "taken by a network", "taken in part", "others do not matter"],
)
def test_a_free_link_overlaps_nothing(in_use: list[str], host: str) -> None:
    assert free_link("00000000", in_use).host == host


def test_the_search_goes_round() -> None:
    last = f"{2**14 - 1:08x}"
    assert free_link(last, ["172.30.255.252/30"]).host == "172.30.0.1"


def test_no_link_left_is_explained() -> None:
    with pytest.raises(DevError, match="no free /30"):
        free_link("00000000", ["172.16.0.0/12"])
    assert ipaddress.IPv4Network("172.16.0.0/12").supernet_of(LINK_RANGE)


def test_names_differ_by_checkout_and_fit_the_kernel(tmp_path: Path) -> None:
    one, other = Layout(Checkout(tmp_path / "one")), Layout(Checkout(tmp_path / "other"))
    assert one.namespace != other.namespace
    assert one.cgroup != other.cgroup
    assert len(one.host_interface) <= 15
    assert one.host_interface != one.node_interface


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    monkeypatch.delenv("BULLHERD_USE_CURRENT", raising=False)
    monkeypatch.delenv("BULLHERD_CLUSTER", raising=False)
    monkeypatch.setattr(choice, "docker_answers", lambda: False)
    _programs(tmp_path / "programs", "kind")
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    return Checkout(tmp_path)


def _programs(folder: Path, *names: str, script: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(f"#!/bin/sh\n{script}")
        (folder / name).chmod(0o755)


def test_without_docker_it_is_the_local_node(checkout: Checkout) -> None:
    assert choice.kind_to_use(checkout) == "local"


def test_with_docker_it_is_kind(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "docker_answers", lambda: True)
    assert choice.kind_to_use(checkout) == "kind"


def test_docker_without_kind_is_the_local_node_and_says_so(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "docker_answers", lambda: True)
    (checkout.root / "programs" / "kind").unlink()
    said: list[str] = []
    assert choice.kind_to_use(checkout, said.append) == "local"
    assert said == ["Docker is here, but the program kind is not: the local node is used"]


def test_the_current_cluster_goes_first(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "docker_answers", lambda: True)
    monkeypatch.setenv("BULLHERD_USE_CURRENT", "1")
    assert choice.kind_to_use(checkout) == "current"


def test_what_was_made_stays_in_use(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    choice.record(checkout, "local")
    monkeypatch.setattr(choice, "docker_answers", lambda: True)
    assert choice.kind_to_use(checkout) == "local"
    monkeypatch.setenv("BULLHERD_USE_CURRENT", "1")
    with pytest.raises(DevError, match="kind local, and the environment asks for current"):
        choice.kind_to_use(checkout)


def test_a_kind_that_does_not_exist_is_explained(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULLHERD_CLUSTER", "minikube")
    with pytest.raises(DevError, match="BULLHERD_CLUSTER=minikube"):
        choice.kind_to_use(checkout)


@pytest.fixture
def calls(checkout: Checkout, tmp_path: Path) -> Path:
    """kubectl and helm that only note how they are called."""
    calls = tmp_path / "calls"
    calls.touch()
    _programs(tmp_path / "programs", "kubectl", script=f'echo "kubectl $*" >> {calls}')
    _programs(checkout.bin, "helm", script=f'echo "helm $*" >> {calls}')
    return calls


def test_down_takes_the_demo_out_of_a_cluster_that_stays(checkout: Checkout, calls: Path) -> None:
    (checkout.cluster / "demo").mkdir()
    said = Current(checkout).down()
    assert "The CRD queuejobs.bullherd.dev and the namespace bullherd stay" in said
    one, other, volume = (_without_kubeconfig(line, checkout) for line in calls.read_text().splitlines())
    assert one == "kubectl delete namespace bullherd-demo --ignore-not-found --wait"
    assert other.startswith("helm uninstall bullherd --namespace bullherd --ignore-not-found --wait")
    assert volume == "kubectl delete pvc bullherd-redis --namespace bullherd --ignore-not-found --wait"


def test_down_touches_nothing_in_a_cluster_that_saw_no_demo(checkout: Checkout, calls: Path) -> None:
    assert "the demo had made nothing" in Current(checkout).down()
    assert calls.read_text() == ""


def _without_kubeconfig(line: str, checkout: Checkout) -> str:
    """Each call must say which cluster it means; the user's own kubeconfig may mean another by now."""
    given = f" --kubeconfig {checkout.kubeconfig}"
    assert given in line
    return line.replace(given, "")
