# SPDX-License-Identifier: Apache-2.0
"""The Python client of Kubernetes against any API server: prints "PASS name" or "FAIL name: why" for each check."""
import sys
import threading
import time

from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.rest import ApiException
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.configmaplock import ConfigMapLock

NAMESPACE = "clients-python"


def expect(ok, why):
    if not ok:
        raise AssertionError(why)


def fails(status, function, *arguments, **named):
    try:
        function(*arguments, **named)
    except ApiException as error:
        expect(error.status == status, f"status {error.status} instead of {status}: {error.body}")
        return error
    raise AssertionError(f"no status {status}")


def eventually(what, ask):
    for _ in range(300):
        if ask():
            return
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within 30 s")


def config_map(name, data=None, labels=None):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels=labels), data=data or {})


def life(core):
    made = core.create_namespaced_config_map(NAMESPACE, config_map("life", {"a": "1"}))
    expect(made.metadata.uid and made.metadata.resource_version, made.metadata)
    made.data["a"] = "2"
    written = core.replace_namespaced_config_map("life", NAMESPACE, made)
    expect(written.data == {"a": "2"}, written.data)
    made.data["a"] = "3"
    fails(409, core.replace_namespaced_config_map, "life", NAMESPACE, made)
    core.delete_namespaced_config_map("life", NAMESPACE)
    error = fails(404, core.read_namespaced_config_map, "life", NAMESPACE)
    expect('"reason":"NotFound"' in error.body.replace(" ", ""), error.body)


def typed_errors(core):
    core.create_namespaced_config_map(NAMESPACE, config_map("twice"))
    error = fails(409, core.create_namespaced_config_map, NAMESPACE, config_map("twice"))
    expect("AlreadyExists" in error.body, error.body)
    error = fails(422, core.create_namespaced_config_map, NAMESPACE, config_map("Bad_Name"))
    expect("metadata.name" in error.body, error.body)
    fails(400, core.list_namespaced_config_map, NAMESPACE, label_selector="a in b")
    fails(404, core.create_namespaced_config_map, "nowhere", config_map("a"))


def patches(core):
    port = client.V1ServicePort(name="a", port=80)
    service = client.V1Service(metadata=client.V1ObjectMeta(name="patched"), spec=client.V1ServiceSpec(ports=[port]))
    core.create_namespaced_service(NAMESPACE, service)
    live = core.patch_namespaced_service("patched", NAMESPACE, {"spec": {"ports": [{"name": "b", "port": 81}]}})
    expect(len(live.spec.ports) == 2, f"a dict is a strategic merge: {live.spec.ports}")
    live = core.patch_namespaced_service("patched", NAMESPACE, [{"op": "remove", "path": "/spec/ports/1"}])
    expect(len(live.spec.ports) == 1, f"a list is a JSON patch: {live.spec.ports}")


def pages(core):
    for number in range(12):
        core.create_namespaced_config_map(NAMESPACE, config_map(f"page-{number:02}", labels={"page": "yes"}))
    names, token = [], None
    while True:
        page = core.list_namespaced_config_map(NAMESPACE, label_selector="page=yes", limit=5, _continue=token)
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue
        if not token:
            break
    expect(names == [f"page-{number:02}" for number in range(12)], names)
    core.delete_collection_namespaced_config_map(NAMESPACE, label_selector="page=yes")
    expect(not core.list_namespaced_config_map(NAMESPACE, label_selector="page=yes").items, "some are left")


def watches(core):
    start = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version

    def change():
        time.sleep(0.5)
        core.create_namespaced_config_map(NAMESPACE, config_map("watched", {"a": "1"}))
        core.patch_namespaced_config_map("watched", NAMESPACE, {"data": {"a": "2"}})
        core.delete_namespaced_config_map("watched", NAMESPACE)

    threading.Thread(target=change).start()
    seen = []
    stream = watch.Watch()
    for event in stream.stream(core.list_namespaced_config_map, NAMESPACE, resource_version=start, timeout_seconds=20):
        seen.append((event["type"], event["object"].metadata.name, (event["object"].data or {}).get("a")))
        if event["type"] == "DELETED":
            stream.stop()
    expect(seen == [("ADDED", "watched", "1"), ("MODIFIED", "watched", "2"), ("DELETED", "watched", "2")], seen)


def old_version(core):
    """A version of long ago is told as 410, which the client raises, or still remembered."""
    try:
        for _ in watch.Watch().stream(core.list_namespaced_config_map, NAMESPACE, resource_version="1", timeout_seconds=1):
            pass
    except ApiException as error:
        expect(error.status == 410, error)


def workload(core):
    apps = client.AppsV1Api(core.api_client)
    labels = {"app": "web"}
    template = client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels=labels),
        spec=client.V1PodSpec(containers=[client.V1Container(name="c", image="registry.example.com/c:1")]))
    spec = client.V1DeploymentSpec(replicas=2, selector=client.V1LabelSelector(match_labels=labels), template=template)
    apps.create_namespaced_deployment(NAMESPACE, client.V1Deployment(metadata=client.V1ObjectMeta(name="web"), spec=spec))
    eventually("two are ready", lambda: apps.read_namespaced_deployment_status("web", NAMESPACE).status.ready_replicas == 2)
    scale = apps.read_namespaced_deployment_scale("web", NAMESPACE)
    scale.spec.replicas = 1
    apps.replace_namespaced_deployment_scale("web", NAMESPACE, scale)
    eventually("one is left", lambda: apps.read_namespaced_deployment("web", NAMESPACE).status.replicas == 1)
    apps.delete_namespaced_deployment("web", NAMESPACE, propagation_policy="Foreground")
    eventually("no pod is left", lambda: not core.list_namespaced_pod(NAMESPACE, label_selector="app=web").items)


def dynamic_client(core):
    dyn = dynamic.DynamicClient(core.api_client)
    maps = dyn.resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "dynamic"}, "data": {"a": "b"}}
    maps.create(body=body, namespace=NAMESPACE)
    expect(maps.get(name="dynamic", namespace=NAMESPACE).data.a == "b", "read back")
    applied = maps.server_side_apply(
        body={**body, "data": {"c": "d"}}, name="dynamic", namespace=NAMESPACE, field_manager="python", force_conflicts=True)
    expect(applied.data.to_dict() == {"a": "b", "c": "d"}, applied.data)
    maps.delete(name="dynamic", namespace=NAMESPACE)


def custom_kind(core):
    extensions = client.ApiextensionsV1Api(core.api_client)
    names = client.V1CustomResourceDefinitionNames(kind="Snake", plural="snakes")
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"length": {"type": "integer", "minimum": 1}}}}}
    version = client.V1CustomResourceDefinitionVersion(
        name="v1", served=True, storage=True, schema=client.V1CustomResourceValidation(open_apiv3_schema=schema))
    definition = client.V1CustomResourceDefinition(
        api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition",
        metadata=client.V1ObjectMeta(name="snakes.python.example.com"),
        spec=client.V1CustomResourceDefinitionSpec(group="python.example.com", scope="Namespaced", names=names, versions=[version]))
    extensions.create_custom_resource_definition(definition)
    try:
        def established():
            status = extensions.read_custom_resource_definition("snakes.python.example.com").status
            return any(c.type == "Established" and c.status == "True" for c in status.conditions or [])

        eventually("the definition is established", established)
        custom = client.CustomObjectsApi(core.api_client)
        where = ("python.example.com", "v1", NAMESPACE, "snakes")
        snake = {"apiVersion": "python.example.com/v1", "kind": "Snake", "metadata": {"name": "one"}, "spec": {"length": 3}}
        eventually("the kind is served", lambda: listed(custom, where))
        custom.create_namespaced_custom_object(*where, snake)
        fails(422, custom.patch_namespaced_custom_object, *where, "one", {"spec": {"length": 0}})
        expect(custom.patch_namespaced_custom_object(*where, "one", {"spec": {"length": 4}})["spec"] == {"length": 4}, "patched")
    finally:
        extensions.delete_custom_resource_definition("snakes.python.example.com")


def listed(custom, where):
    try:
        custom.list_namespaced_custom_object(*where)
        return True
    except ApiException:
        return False


def from_yaml(core):
    utils.create_from_dict(core.api_client, {
        "apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "listed"}},
            {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "listed"}, "spec": {"podSelector": {}}}],
    }, namespace=NAMESPACE)
    client.NetworkingV1Api(core.api_client).read_namespaced_network_policy("listed", NAMESPACE)


def versions(core):
    version = client.VersionApi(core.api_client).get_code()
    expect(version.major == "1" and version.git_version.startswith("v1."), version)
    groups = [group.name for group in client.ApisApi(core.api_client).get_api_versions().groups]
    expect("apps" in groups and "batch" in groups, groups)


def leader(core):
    led = threading.Event()
    lock = ConfigMapLock("python", NAMESPACE, "me")
    wanted = electionconfig.Config(lock, lease_duration=4, renew_deadline=3, retry_period=1, onstarted_leading=led.set, onstopped_leading=lambda: None)
    threading.Thread(target=leaderelection.LeaderElection(wanted).run, daemon=True).start()
    expect(led.wait(20), "nobody leads")
    record = core.read_namespaced_config_map("python", NAMESPACE).metadata.annotations["control-plane.alpha.kubernetes.io/leader"]
    expect('"me"' in record, record)


CHECKS = [
    ("life of an object", life), ("errors with their reasons", typed_errors), ("patches", patches), ("pages", pages), ("watch", watches),
    ("watch from an old version", old_version), ("a deployment and its scale", workload), ("the dynamic client", dynamic_client),
    ("a custom kind", custom_kind), ("objects from a dict", from_yaml), ("versions and groups", versions),
    ("leader election", leader),
]


def main():
    config.load_kube_config(config_file=sys.argv[1])
    core = client.CoreV1Api()
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NAMESPACE)))
    failed = False
    for name, check in CHECKS:
        try:
            check(core)
            print("PASS", name, flush=True)
        except Exception as error:  # every failure of a check is a result
            failed = True
            print(f"FAIL {name}: {type(error).__name__}: {' '.join(str(error).split())[:300]}", flush=True)
    core.delete_namespace(NAMESPACE)
    sys.exit(1 if failed else 0)


main()
