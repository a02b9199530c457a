// SPDX-License-Identifier: Apache-2.0
// The JavaScript client of Kubernetes against any API server: prints "PASS name" or "FAIL name: why" for each check.
import * as k8s from "@kubernetes/client-node";

const namespace = "clients-js";
const config = new k8s.KubeConfig();
config.loadFromFile(process.argv[2]);
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);

function expect(ok, why) {
    if (!ok) throw new Error(why);
}
async function fails(code, promise) {
    try {
        await promise;
    } catch (error) {
        expect(error.code === code, `code ${error.code} instead of ${code}: ${error.message}`);
        return error;
    }
    throw new Error(`no code ${code}`);
}
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
async function eventually(what, ask) {
    for (let n = 0; n < 300; n++) {
        if (await ask()) return;
        await pause(100);
    }
    throw new Error(`${what}: not within 30 s`);
}
const configMap = (name, data, labels) => core.createNamespacedConfigMap({ namespace, body: { metadata: { name, labels }, data } });

async function life() {
    const made = await configMap("life", { a: "1" });
    made.data.a = "2";
    const written = await core.replaceNamespacedConfigMap({ namespace, name: "life", body: made });
    expect(written.data.a === "2", JSON.stringify(written));
    await fails(409, core.replaceNamespacedConfigMap({ namespace, name: "life", body: made }));
    await core.deleteNamespacedConfigMap({ namespace, name: "life" });
    const error = await fails(404, core.readNamespacedConfigMap({ namespace, name: "life" }));
    expect(JSON.stringify(error.body).includes("NotFound"), JSON.stringify(error.body));
}

async function errors() {
    await configMap("twice");
    await fails(409, configMap("twice"));
    await fails(422, configMap("Bad_Name"));
    await fails(400, core.listNamespacedConfigMap({ namespace, labelSelector: "a in b" }));
    await fails(404, core.createNamespacedConfigMap({ namespace: "nowhere", body: { metadata: { name: "a" } } }));
}

async function patches() {
    await core.createNamespacedService({ namespace, body: { metadata: { name: "patched" }, spec: { ports: [{ name: "a", port: 80 }] } } });
    const how = (type) => k8s.setHeaderOptions("Content-Type", type);
    const body = [{ op: "add", path: "/spec/ports/-", value: { name: "b", port: 81, protocol: "TCP" } }];
    let live = await core.patchNamespacedService({ namespace, name: "patched", body }, how(k8s.PatchStrategy.JsonPatch));
    expect(live.spec.ports.length === 2, "json patch");
    live = await core.patchNamespacedService({ namespace, name: "patched", body: { spec: { ports: [{ name: "c", port: 82 }] } } }, how(k8s.PatchStrategy.StrategicMergePatch));
    expect(live.spec.ports.length === 3, "strategic merge patch");
    live = await core.patchNamespacedService({ namespace, name: "patched", body: { spec: { ports: [{ name: "d", port: 83 }] } } }, how(k8s.PatchStrategy.MergePatch));
    expect(live.spec.ports.length === 1, "merge patch");
    const applied = await core.patchNamespacedConfigMap(
        { namespace, name: "applied", fieldManager: "js", force: true, body: { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "applied" }, data: { a: "b" } } },
        how(k8s.PatchStrategy.ServerSideApply),
    );
    expect(applied.metadata.managedFields[0].manager === "js" && applied.metadata.managedFields[0].operation === "Apply", "server-side apply");
}

async function pages() {
    for (let n = 0; n < 12; n++) await configMap(`page-${String(n).padStart(2, "0")}`, {}, { page: "yes" });
    const names = [];
    let _continue;
    do {
        const page = await core.listNamespacedConfigMap({ namespace, labelSelector: "page=yes", limit: 5, _continue });
        names.push(...page.items.map((item) => item.metadata.name));
        _continue = page.metadata._continue;
    } while (_continue);
    expect(names.length === 12 && names[11] === "page-11", names.join());
    await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector: "page=yes" });
    const left = await core.listNamespacedConfigMap({ namespace, labelSelector: "page=yes" });
    expect(left.items.length === 0, "some are left");
}

async function watches() {
    const start = await core.listNamespacedConfigMap({ namespace });
    const seen = [];
    const watch = new k8s.Watch(config);
    const controller = await watch.watch(
        `/api/v1/namespaces/${namespace}/configmaps`,
        { resourceVersion: start.metadata.resourceVersion, allowWatchBookmarks: true },
        (type, object) => {
            if (type !== "BOOKMARK") seen.push(`${type} ${object.metadata.name}`);
        },
        () => {},
    );
    await configMap("watched", { a: "1" });
    await core.deleteNamespacedConfigMap({ namespace, name: "watched" });
    await eventually("two events", () => seen.length === 2);
    controller.abort();
    expect(seen.join() === "ADDED watched,DELETED watched", seen.join());
}

async function informer() {
    const list = () => core.listNamespacedConfigMap({ namespace, labelSelector: "inform=yes" });
    const one = k8s.makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, list, "inform=yes");
    const seen = [];
    for (const verb of ["add", "update", "delete"]) one.on(verb, (object) => seen.push(`${verb} ${object.metadata.name}`));
    one.on("error", () => {});
    await one.start();
    await configMap("informed", { a: "1" }, { inform: "yes" });
    await eventually("it is added", () => seen.includes("add informed"));
    expect(one.get("informed", namespace).data.a === "1", "the cache");
    await core.deleteNamespacedConfigMap({ namespace, name: "informed" });
    await eventually("it is deleted", () => seen.includes("delete informed"));
    expect(one.list().length === 0, "the cache at the end");
    await one.stop();
}

async function workload() {
    const template = { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "c", image: "registry.example.com/c:1" }] } };
    const body = { metadata: { name: "web" }, spec: { replicas: 2, selector: { matchLabels: { app: "web" } }, template } };
    await apps.createNamespacedDeployment({ namespace, body });
    await eventually("two are ready", async () => (await apps.readNamespacedDeployment({ namespace, name: "web" })).status.readyReplicas === 2);
    const scale = await apps.readNamespacedDeploymentScale({ namespace, name: "web" });
    scale.spec.replicas = 0;
    await apps.replaceNamespacedDeploymentScale({ namespace, name: "web", body: scale });
    await eventually("none is left", async () => !(await core.listNamespacedPod({ namespace, labelSelector: "app=web" })).items.length);
}

async function anyObject() {
    const client = k8s.KubernetesObjectApi.makeApiClient(config);
    const spec = { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: { name: "any", namespace }, spec: { podSelector: {} } };
    await client.create(spec);
    const read = await client.read(spec);
    expect(read.spec.policyTypes.join() === "Ingress", JSON.stringify(read.spec));
    await client.patch({ ...spec, metadata: { ...spec.metadata, labels: { a: "b" } } });
    expect((await client.read(spec)).metadata.labels.a === "b", "patched");
    await client.delete(spec);
    await fails(404, client.read(spec));
}

async function reviews() {
    const authorization = config.makeApiClient(k8s.AuthorizationV1Api);
    const resourceAttributes = { namespace, verb: "create", group: "apps", resource: "deployments" };
    const mine = await authorization.createSelfSubjectAccessReview({ body: { spec: { resourceAttributes } } });
    const hers = await authorization.createSubjectAccessReview({ body: { spec: { user: "jane", resourceAttributes } } });
    expect(mine.status.allowed && !hers.status.allowed, `mine ${mine.status.allowed}, hers ${hers.status.allowed}`);
}

async function health() {
    expect((await config.makeApiClient(k8s.VersionApi).getCode()).major === "1", "version");
    expect(await new k8s.Health(config).readyz({}), "readyz");
}

const checks = { "life of an object": life, errors, patches, pages, watch: watches, informer, "a deployment and its scale": workload, "objects of any kind": anyObject, reviews, "version and health": health };
let failed = false;
await core.createNamespace({ body: { metadata: { name: namespace } } });
for (const [name, check] of Object.entries(checks)) {
    try {
        await check();
        console.log("PASS", name);
    } catch (error) {
        failed = true;
        console.log(`FAIL ${name}: ${String(error.message).replaceAll("\n", " ").slice(0, 300)}`);
    }
}
await core.deleteNamespace({ name: namespace });
process.exit(failed ? 1 : 0);
