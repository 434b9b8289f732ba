"""What a request is about, in Kubernetes' own words. Needs nothing."""

from __future__ import annotations

import pytest

from bullherd.core.api_request import ApiRequest, api_request

API = "/apis/external.metrics.k8s.io/v1beta1"


def of(verb: str, namespace: str = "", resource: str = "", name: str = "", sub: str = "") -> ApiRequest:
    return ApiRequest(verb, "", "external.metrics.k8s.io", "v1beta1", namespace, resource, name, sub)


ROWS = [
    ("GET", f"{API}/namespaces/shop/depth", {}, of("list", "shop", "depth")),
    ("GET", f"{API}/namespaces/shop/depth/", {}, of("list", "shop", "depth")),
    ("GET", f"{API}//namespaces//shop/depth", {}, of("list", "shop", "depth")),
    ("HEAD", f"{API}/namespaces/shop/depth", {}, of("list", "shop", "depth")),
    ("GET", f"{API}/namespaces/shop/depth", {"watch": "1"}, of("watch", "shop", "depth")),
    ("GET", f"{API}/namespaces/shop/depth", {"watch": "true"}, of("watch", "shop", "depth")),
    ("GET", f"{API}/namespaces/shop/depth", {"watch": "false"}, of("list", "shop", "depth")),
    ("GET", f"{API}/namespaces/shop/depth", {"watch": "0"}, of("list", "shop", "depth")),
    ("GET", f"{API}/namespaces/shop/depth/a", {}, of("get", "shop", "depth", "a")),
    ("GET", f"{API}/namespaces/shop/depth/a/b/c", {}, of("get", "shop", "depth", "a", "b")),
    ("GET", f"{API}/depth", {}, of("list", "", "depth")),
    ("GET", f"{API}/namespaces", {}, of("list", "", "namespaces")),
    ("GET", f"{API}/namespaces/shop", {}, of("get", "shop", "namespaces", "shop")),
    ("POST", f"{API}/namespaces/shop/depth", {}, of("create", "shop", "depth")),
    ("PUT", f"{API}/namespaces/shop/depth/a", {}, of("update", "shop", "depth", "a")),
    ("PATCH", f"{API}/namespaces/shop/depth/a", {}, of("patch", "shop", "depth", "a")),
    ("DELETE", f"{API}/namespaces/shop/depth/a", {}, of("delete", "shop", "depth", "a")),
    ("DELETE", f"{API}/namespaces/shop/depth", {}, of("deletecollection", "shop", "depth")),
    ("BREW", f"{API}/namespaces/shop/depth", {}, of("", "shop", "depth")),
    ("GET", API, {}, ApiRequest("get", API)),
    ("GET", "/apis", {}, ApiRequest("get", "/apis")),
    ("GET", "/", {}, ApiRequest("get", "/")),
    ("GET", "/openapi/v2", {}, ApiRequest("get", "/openapi/v2")),
    ("POST", "/apis/a/b", {}, ApiRequest("post", "/apis/a/b")),
    ("GET", "/api/v1/namespaces/shop/pods", {}, ApiRequest("get", "/api/v1/namespaces/shop/pods")),
]


@pytest.mark.parametrize(
    ("method", "path", "query", "wanted"), ROWS, ids=[f"{r[0]} {r[1]} {r[2]}" for r in ROWS]
)
def test_request(method: str, path: str, query: dict[str, str], wanted: ApiRequest) -> None:
    request = api_request(method, path, query)
    assert request.path == path
    assert (request.verb, request.group, request.version) == (wanted.verb, wanted.group, wanted.version)
    assert (request.namespace, request.resource) == (wanted.namespace, wanted.resource)
    assert (request.name, request.subresource) == (wanted.name, wanted.subresource)


def test_it_reads_like_kubernetes_own_sentence() -> None:
    request = api_request("GET", f"{API}/namespaces/shop/depth", {})
    assert str(request) == (
        'list resource "depth" in API group "external.metrics.k8s.io" in the namespace "shop"'
    )
    assert str(api_request("GET", "/apis", {})) == 'get path "/apis"'
    assert str(api_request("PUT", f"{API}/depth/a/scale", {})).endswith(
        '"depth/scale" in API group "external.metrics.k8s.io" at the cluster scope'
    )
