// SPDX-License-Identifier: Apache-2.0
// What makes a pod reachable, as far as anybody can see it through the API: EndpointSlices of Services with a selector,
// the older Endpoints, addresses of load balancers and Ingresses. The objects that each cluster and namespace has live
// here too: nodes, the default StorageClass, the bundle of trusted certificates.
#include "apiserver/workloads/plan.h"

enum { ENDPOINTS_PER_SLICE = 100 }; // as kube-controller-manager's default

// ---- EndpointSlices ----
static const struct doc_value *named_port(const struct doc_value *pod, struct str name) {
    for (DOC_EACH_ITEM(doc_get(pod, "spec", "containers"), container)) {
        for (DOC_EACH_ITEM(doc_get(container, "ports"), port)) {
            if (str_eq(doc_get_str(port, "name"), name)) {
                return doc_get(port, "containerPort");
            }
        }
    }
    return NULL;
}

static struct doc_value slice_ports(struct arena *arena, const struct doc_value *service,
                                    const struct doc_value *pod) {
    struct doc_array ports = doc_array_start(arena);
    for (DOC_EACH_ITEM(doc_get(service, "spec", "ports"), port)) {
        const struct doc_value *target = doc_get(port, "targetPort");
        if (doc_is(target, DOC_STRING)) {
            target = named_port(pod, doc_str(target));
            if (!target) {
                continue; // no pod has a port of that name
            }
        } else if (doc_int(target, 0) == 0) {
            target = doc_get(port, "port");
        }
        struct str protocol = doc_get_str(port, "protocol");
        const struct doc_value *app = doc_get(port, "appProtocol");
        struct doc_object made = doc_object_start(arena);
        if (app) {
            doc_object_set_c(&made, "appProtocol", *app);
        }
        doc_object_set_c(&made, "name", doc_make_str(doc_get_str(port, "name")));
        doc_object_set_c(&made, "port", doc_make_int(doc_int(target, 0)));
        doc_object_set_c(&made, "protocol", doc_make_str(protocol.n ? protocol : STR("TCP")));
        struct doc_value value = doc_object_done(&made);
        doc_array_add(&ports, value);
        for (uint32_t i = ports.len - 1; // by name
             i > 0 &&
             str_cmp(doc_get_str(&value, "name"), doc_get_str(&ports.items[i - 1], "name")) < 0;
             i--) {
            ports.items[i] = ports.items[i - 1];
            ports.items[i - 1] = value;
        }
    }
    return doc_array_done(&ports);
}

static struct doc_value endpoint(struct arena *arena, const struct doc_value *service,
                                 const struct wl_pod *pod) {
    bool publish = doc_bool(doc_get(service, "spec", "publishNotReadyAddresses"), false);
    struct doc_array addresses = doc_array_start(arena);
    doc_array_add(&addresses, doc_make_str(pod->ip));
    struct doc_value conditions = wl_object(
        arena, "ready", doc_make_bool(publish || (pod->ready && !pod->deleting)), "serving",
        doc_make_bool(pod->ready), "terminating", doc_make_bool(pod->deleting), NULL);
    struct doc_value target =
        wl_object(arena, "kind", DOC_S("Pod"), "name", doc_make_str(pod->name), "namespace",
                  doc_make_str(wl_ns(service)), "uid", doc_make_str(pod->uid), NULL);
    return wl_object(arena, "addresses", doc_array_done(&addresses), "conditions", conditions,
                     "nodeName", doc_make_str(pod->node), "targetRef", target, NULL);
}

static int compare_pods(const void *a, const void *b) {
    return str_cmp((*(const struct wl_pod *const *)a)->name,
                   (*(const struct wl_pod *const *)b)->name);
}

static const struct wl_pod **reachable(struct wl_plan *plan, const struct wl_pod *const *pods,
                                       size_t count, size_t *found) {
    const struct wl_pod **out = ARENA_ARRAY(plan->arena, count + 1, const struct wl_pod *);
    *found = 0;
    for (size_t i = 0; i < count; i++) {
        if (pods[i]->ip.n && pods[i]->phase != WL_SUCCEEDED && pods[i]->phase != WL_FAILED) {
            out[(*found)++] = pods[i];
        }
    }
    if (*found > 1) {
        qsort(out, *found, sizeof(*out), compare_pods);
    }
    return out;
}

static struct doc_value slice_labels(struct arena *arena, const struct doc_value *service) {
    const struct doc_value *own = doc_get(service, "metadata", "labels");
    struct doc_object labels = doc_object_copy(arena, own);
    doc_object_set_c(&labels, "endpointslice.kubernetes.io/managed-by",
                     DOC_S("endpointslice-controller.k8s.io"));
    doc_object_set_c(&labels, "kubernetes.io/service-name", doc_make_str(wl_name(service)));
    if (str_eq_c(doc_get_str(service, "spec", "clusterIP"), "None")) {
        doc_object_set_c(&labels, "service.kubernetes.io/headless", DOC_S(""));
    }
    return doc_object_done(&labels);
}

static bool same(const struct doc_value *a, const struct doc_value *b) {
    return doc_equal(a, b) || (doc_len(a) == 0 && doc_len(b) == 0);
}

// When what the addresses say changed last, as they carry it.
static struct doc_value change_note(struct wl_plan *plan) {
    return wl_object(plan->arena, "endpoints.kubernetes.io/last-change-trigger-time",
                     wl_time(plan->arena, plan->now), NULL);
}

static bool write_slice(struct wl_plan *plan, const struct doc_value *service,
                        const struct doc_value *present, struct doc_value endpoints,
                        struct doc_value ports) {
    struct arena *arena = plan->arena;
    struct doc_value labels = slice_labels(arena, service);
    if (present) {
        if (!same(doc_get(present, "endpoints"), &endpoints) ||
            !same(doc_get(present, "ports"), &ports) ||
            !same(doc_get(present, "metadata", "labels"), &labels)) {
            struct doc_value metadata =
                wl_object(arena, "annotations", change_note(plan), "labels", labels, NULL);
            wl_patch(plan, &wl_endpoint_slices, present,
                     wl_object(arena, "metadata", metadata, "endpoints", endpoints, "ports", ports,
                               NULL));
            return true;
        }
        return false;
    }
    struct doc_value metadata = wl_object(
        arena, "generateName", wl_text(arena, "%.*s-", STR_ARG(wl_name(service))), "namespace",
        doc_make_str(wl_ns(service)), "annotations", change_note(plan), "labels", labels,
        "ownerReferences", wl_owner(arena, "v1", "Service", service), NULL);
    wl_create(plan, &wl_endpoint_slices, wl_ns(service),
              wl_object(arena, "addressType", DOC_S("IPv4"), "apiVersion",
                        DOC_S("discovery.k8s.io/v1"), "endpoints", endpoints, "kind",
                        DOC_S("EndpointSlice"), "metadata", metadata, "ports", ports, NULL));
    return true;
}

static void plan_slices(struct wl_plan *plan, const struct doc_value *service,
                        const struct wl_pod *const *pods, size_t pod_count,
                        const struct doc_value *ports_of, const struct doc_value *const *slices,
                        size_t slice_count) {
    struct arena *arena = plan->arena;
    size_t count = 0;
    const struct wl_pod **ready = reachable(plan, pods, pod_count, &count);
    struct doc_value ports = slice_ports(arena, service, ports_of);
    size_t used = 0, next = 0;
    do {
        struct doc_array endpoints = doc_array_start(arena);
        for (; next < count && endpoints.len < ENDPOINTS_PER_SLICE; next++) {
            doc_array_add(&endpoints, endpoint(arena, service, ready[next]));
        }
        const struct doc_value *present = used < slice_count ? slices[used] : NULL;
        used++;
        if (write_slice(plan, service, present, doc_array_done(&endpoints), ports)) {
            // While a roll-out is under way the picture changes often; once every pod serves, it is written at once.
            bool settled = count > 0;
            for (size_t i = 0; i < count && settled; i++) {
                settled = ready[i]->ready && !ready[i]->deleting;
            }
            plan->writes[plan->count - 1].lazy = !settled || count != pod_count;
        }
    } while (next < count);
    for (; used < slice_count; used++) {
        wl_delete(plan, &wl_endpoint_slices, wl_ns(service), wl_name(slices[used]),
                  wl_uid(slices[used]));
    }
}

// ---- Endpoints ----
static struct doc_value endpoint_ports(struct arena *arena, const struct doc_value *ports) {
    struct doc_array out = doc_array_start(arena);
    for (DOC_EACH_ITEM(ports, port)) {
        struct doc_value made = *port;
        if (!doc_get_str(port, "name").n) {
            made = doc_without(arena, &made, "name");
        }
        doc_array_add(&out, made);
    }
    return doc_array_done(&out);
}

static struct doc_value endpoint_address(struct arena *arena, const struct doc_value *service,
                                         const struct wl_pod *pod) {
    struct doc_value target =
        wl_object(arena, "kind", DOC_S("Pod"), "name", doc_make_str(pod->name), "namespace",
                  doc_make_str(wl_ns(service)), "uid", doc_make_str(pod->uid), NULL);
    return wl_object(arena, "ip", doc_make_str(pod->ip), "nodeName", doc_make_str(pod->node),
                     "targetRef", target, NULL);
}

void wl_plan_endpoints(struct wl_plan *plan, const struct doc_value *service,
                       const struct wl_pod *const *pods, size_t pod_count,
                       const struct doc_value *ports_of, const struct doc_value *present) {
    enum { ADDRESSES_MAX = 1000 };
    struct arena *arena = plan->arena;
    if (wl_is_deleting(service) || !doc_len(doc_get(service, "spec", "selector")) ||
        str_eq_c(doc_get_str(service, "spec", "type"), "ExternalName")) {
        return;
    }
    bool publish = doc_bool(doc_get(service, "spec", "publishNotReadyAddresses"), false);
    size_t count = 0;
    const struct wl_pod **found = reachable(plan, pods, pod_count, &count);
    struct doc_array ready = doc_array_start(arena), unready = doc_array_start(arena);
    bool settled = count > 0 && count == pod_count;
    for (size_t i = 0; i < count && i < ADDRESSES_MAX; i++) {
        settled = settled && found[i]->ready && !found[i]->deleting;
        if (!found[i]->deleting || publish) {
            doc_array_add(publish || found[i]->ready ? &ready : &unready,
                          endpoint_address(arena, service, found[i]));
        }
    }
    struct doc_value ports = slice_ports(arena, service, ports_of);
    ports = endpoint_ports(arena, &ports);
    struct doc_array subsets = doc_array_start(arena);
    if (ready.len + unready.len) {
        struct doc_object subset = doc_object_start(arena);
        if (ready.len) {
            doc_object_set_c(&subset, "addresses", doc_array_done(&ready));
        }
        if (unready.len) {
            doc_object_set_c(&subset, "notReadyAddresses", doc_array_done(&unready));
        }
        if (doc_len(&ports)) {
            doc_object_set_c(&subset, "ports", ports);
        }
        doc_array_add(&subsets, doc_object_done(&subset));
    }
    struct doc_object labels = doc_object_copy(arena, doc_get(service, "metadata", "labels"));
    doc_object_set_c(&labels, "endpoints.kubernetes.io/managed-by", DOC_S("endpoint-controller"));
    if (str_eq_c(doc_get_str(service, "spec", "clusterIP"), "None")) {
        doc_object_set_c(&labels, "service.kubernetes.io/headless", DOC_S(""));
    }
    struct doc_value label_value = doc_object_done(&labels), list = doc_array_done(&subsets);
    struct wl_write *write = NULL;
    if (!present) {
        struct doc_value metadata =
            wl_object(arena, "name", doc_make_str(wl_name(service)), "namespace",
                      doc_make_str(wl_ns(service)), "annotations", change_note(plan), "labels",
                      label_value, NULL);
        struct doc_value made = wl_object(arena, "apiVersion", DOC_S("v1"), "kind",
                                          DOC_S("Endpoints"), "metadata", metadata, NULL);
        write = wl_create(plan, &wl_endpoints, wl_ns(service),
                          subsets.len ? doc_with(arena, &made, list, "subsets") : made);
        write->exists_is_fine = true;
    } else if (!same(doc_get(present, "subsets"), &list) ||
               !same(doc_get(present, "metadata", "labels"), &label_value)) {
        write = wl_patch(plan, &wl_endpoints, present,
                         wl_object(arena, "metadata",
                                   wl_object(arena, "annotations", change_note(plan), "labels",
                                             label_value, NULL),
                                   "subsets", list, NULL));
    }
    if (write) {
        write->lazy = !settled;
    }
}

// ---- Addresses ----
static struct doc_value address_status(struct arena *arena, struct str ns, struct str name,
                                       bool service) {
    uint64_t hash = wl_label_hash(ns, name);
    struct doc_object ingress = doc_object_start(arena);
    doc_object_set_c(
        &ingress, "ip",
        wl_text(arena, "192.168.%u.%u", (unsigned)(hash >> 8 & 255), (unsigned)(hash % 254 + 1)));
    if (service) {
        doc_object_set_c(&ingress, "ipMode", DOC_S("VIP"));
    }
    struct doc_array list = doc_array_start(arena);
    doc_array_add(&list, doc_object_done(&ingress));
    return wl_object(arena, "loadBalancer",
                     wl_object(arena, "ingress", doc_array_done(&list), NULL), NULL);
}

static void plan_balancer(struct wl_plan *plan, const struct kube_gvr *gvr,
                          const struct doc_value *object, bool wanted) {
    const struct doc_value *status = doc_get(object, "status");
    bool has = doc_len(doc_get(status, "loadBalancer", "ingress")) > 0;
    if (wanted == has) {
        return;
    }
    struct arena *arena = plan->arena;
    struct doc_value none = wl_object(arena, NULL);
    struct doc_value address =
        address_status(arena, wl_ns(object), wl_name(object), gvr == &wl_services);
    struct doc_value balancer = wanted ? *doc_get(&address, "loadBalancer") : none;
    wl_status(
        plan, gvr, object,
        doc_with(arena, doc_is(status, DOC_OBJECT) ? status : &none, balancer, "loadBalancer"));
}

void wl_plan_service(struct wl_plan *plan, const struct doc_value *service,
                     const struct wl_pod *const *pods, size_t pod_count,
                     const struct doc_value *ports_of, const struct doc_value *const *slices,
                     size_t slice_count) {
    if (wl_is_deleting(service)) {
        return;
    }
    const struct doc_value *spec = doc_get(service, "spec");
    struct str type = doc_get_str(spec, "type");
    if (doc_len(doc_get(spec, "selector")) && !str_eq_c(type, "ExternalName")) {
        plan_slices(plan, service, pods, pod_count, ports_of, slices, slice_count);
    }
    plan_balancer(plan, &wl_services, service,
                  str_eq_c(type, "LoadBalancer") && !doc_get(spec, "loadBalancerClass") &&
                      !str_eq_c(wl_annotation(service, "skiff.dev/sim-load-balancer"), "none"));
}

void wl_plan_ingress(struct wl_plan *plan, const struct doc_value *ingress) {
    if (!wl_is_deleting(ingress)) {
        plan_balancer(plan, &wl_ingresses, ingress, true);
    }
}

// ---- What each cluster and namespace has ----
struct doc_value wl_default_class(struct arena *arena) {
    struct doc_value note =
        wl_object(arena, "storageclass.kubernetes.io/is-default-class", DOC_S("true"), NULL);
    return wl_object(arena, "apiVersion", DOC_S("storage.k8s.io/v1"), "kind", DOC_S("StorageClass"),
                     "metadata",
                     wl_object(arena, "name", DOC_S("standard"), "annotations", note, NULL),
                     "provisioner", DOC_S("skiff.dev/simulated"), "reclaimPolicy", DOC_S("Delete"),
                     "volumeBindingMode", DOC_S("Immediate"), NULL);
}

struct doc_value wl_root_ca(struct arena *arena, struct str ns, struct str pem) {
    struct doc_value note =
        wl_object(arena, "kubernetes.io/description",
                  DOC_S("Contains a CA bundle that can be used to verify the kube-apiserver when "
                        "using internal endpoints such as the internal service IP or "
                        "kubernetes.default.svc. No other usage is guaranteed across "
                        "distributions of Kubernetes clusters."),
                  NULL);
    struct doc_value metadata = wl_object(arena, "name", DOC_S("kube-root-ca.crt"), "namespace",
                                          doc_make_str(ns), "annotations", note, NULL);
    return wl_object(arena, "apiVersion", DOC_S("v1"), "kind", DOC_S("ConfigMap"), "metadata",
                     metadata, "data", wl_object(arena, "ca.crt", doc_make_str(pem), NULL), NULL);
}

// ---- Nodes ----
struct doc_value wl_node_object(struct arena *arena, size_t index) {
    struct doc_value name = wl_text(arena, "skiff-node-%zu", index);
    struct doc_value labels =
        wl_object(arena, "beta.kubernetes.io/arch", DOC_S("amd64"), "beta.kubernetes.io/os",
                  DOC_S("linux"), "kubernetes.io/arch", DOC_S("amd64"), "kubernetes.io/hostname",
                  name, "kubernetes.io/os", DOC_S("linux"), "type", DOC_S("skiff-simulated"), NULL);
    return wl_object(arena, "apiVersion", DOC_S("v1"), "kind", DOC_S("Node"), "metadata",
                     wl_object(arena, "name", name, "labels", labels, NULL), "spec",
                     wl_object(arena, "podCIDR", wl_text(arena, "10.%zu.0.0/16", 16 + index % 200),
                               "providerID", wl_text(arena, "skiff://node/%zu", index), NULL),
                     NULL);
}

#define CORDON "node.kubernetes.io/unschedulable"

// A node that takes no pods says so by a taint, too.
static void plan_cordon(struct wl_plan *plan, const struct doc_value *node) {
    struct arena *arena = plan->arena;
    bool wanted = doc_bool(doc_get(node, "spec", "unschedulable"), false), has = false;
    struct doc_array taints = doc_array_start(arena);
    for (DOC_EACH_ITEM(doc_get(node, "spec", "taints"), taint)) {
        bool ours = str_eq_c(doc_get_str(taint, "key"), CORDON) &&
                    str_eq_c(doc_get_str(taint, "effect"), "NoSchedule");
        has = has || ours;
        if (!ours) {
            doc_array_add(&taints, *taint);
        }
    }
    if (wanted == has) {
        return;
    }
    if (wanted) {
        doc_array_add(&taints, wl_object(arena, "effect", DOC_S("NoSchedule"), "key", DOC_S(CORDON),
                                         "timeAdded", wl_time(arena, plan->now), NULL));
    }
    struct doc_value list = taints.len ? doc_array_done(&taints) : doc_null();
    wl_patch(plan, &wl_nodes, node,
             wl_object(arena, "spec", wl_object(arena, "taints", list, NULL), NULL));
}

void wl_plan_node(struct wl_plan *plan, const struct doc_value *node) {
    struct str name = wl_name(node);
    int64_t index = 0;
    if (wl_is_deleting(node)) {
        return;
    }
    plan_cordon(plan, node);
    if (doc_len(doc_get(node, "status", "conditions")) == 0 &&
        str_starts(name, STR("skiff-node-")) &&
        str_to_int64(str_skip(name, sizeof("skiff-node-") - 1), &index) && index >= 0) {
        struct wl_write *write =
            wl_status(plan, &wl_nodes, node, wl_node_status(plan->arena, (size_t)index, plan->now));
        if (write) {
            write->manager = "kubelet";
            wl_event(plan, node, "node-controller", "RegisteredNode",
                     "Node %.*s event: Registered Node %.*s in Controller", STR_ARG(name),
                     STR_ARG(name));
        }
    }
}

static struct doc_value node_condition(struct arena *arena, const char *type, const char *status,
                                       const char *reason, const char *message,
                                       struct doc_value now) {
    return wl_object(arena, "type", doc_make_str(str_from(type)), "status",
                     doc_make_str(str_from(status)), "lastHeartbeatTime", now, "lastTransitionTime",
                     now, "reason", doc_make_str(str_from(reason)), "message",
                     doc_make_str(str_from(message)), NULL);
}

struct doc_value wl_node_status(struct arena *arena, size_t index, int64_t now_ns) {
    struct doc_value now = wl_time(arena, now_ns);
    struct doc_value room = wl_object(arena, "cpu", DOC_S("256"), "ephemeral-storage", DOC_S("1Ti"),
                                      "memory", DOC_S("1Ti"), "pods", DOC_S("100k"), NULL);
    struct doc_array conditions = doc_array_start(arena), addresses = doc_array_start(arena);
    doc_array_add(&conditions,
                  node_condition(arena, "MemoryPressure", "False", "KubeletHasSufficientMemory",
                                 "kubelet has sufficient memory available", now));
    doc_array_add(&conditions,
                  node_condition(arena, "DiskPressure", "False", "KubeletHasNoDiskPressure",
                                 "kubelet has no disk pressure", now));
    doc_array_add(&conditions,
                  node_condition(arena, "PIDPressure", "False", "KubeletHasSufficientPID",
                                 "kubelet has sufficient PID available", now));
    doc_array_add(&conditions, node_condition(arena, "Ready", "True", "KubeletReady",
                                              "the simulated node is ready", now));
    doc_array_add(&addresses,
                  wl_object(arena, "address", wl_text(arena, "10.0.0.%zu", 1 + index % 254), "type",
                            DOC_S("InternalIP"), NULL));
    doc_array_add(&addresses, wl_object(arena, "address", wl_text(arena, "skiff-node-%zu", index),
                                        "type", DOC_S("Hostname"), NULL));
    struct doc_value info =
        wl_object(arena, "architecture", DOC_S("amd64"), "containerRuntimeVersion",
                  DOC_S("skiff://" SKIFF_VERSION), "kernelVersion", DOC_S("simulated"),
                  "kubeletVersion", DOC_S("v1.36.3"), "operatingSystem", DOC_S("linux"), "osImage",
                  DOC_S("Skiff simulated node"), NULL);
    return wl_object(arena, "addresses", doc_array_done(&addresses), "allocatable", room,
                     "capacity", room, "conditions", doc_array_done(&conditions), "nodeInfo", info,
                     NULL);
}
