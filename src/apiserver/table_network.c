// SPDX-License-Identifier: Apache-2.0
// Rows of Services, endpoints, Ingresses and network policies.
#include "apiserver/table_internal.h"

enum { SHOWN_MAX = 3 }; // addresses or hosts in one cell

// ---- Services ----

static struct str load_balancer_text(struct arena *arena, const struct doc_value *status) {
    struct str out = {"", 0};
    for (DOC_EACH_ITEM(doc_get(status, "loadBalancer", "ingress"), ingress)) {
        struct str one = doc_get_str(ingress, "ip");
        one = one.n ? one : doc_get_str(ingress, "hostname");
        if (one.n) {
            out = arena_printf(arena, "%.*s%s%.*s", STR_ARG(out), out.n ? "," : "", STR_ARG(one));
        }
    }
    return out;
}

static struct str external_text(struct arena *arena, const struct doc_value *service) {
    const struct doc_value *spec = doc_get(service, "spec");
    struct str type = doc_get_str(spec, "type");
    struct str own = table_join_items(arena, doc_get(spec, "externalIPs"), NULL, ",");
    if (str_eq(type, STR("ExternalName"))) {
        return doc_get_str(spec, "externalName");
    }
    if (!str_eq(type, STR("LoadBalancer"))) {
        return own.n ? own : STR("<none>");
    }
    struct str given = load_balancer_text(arena, doc_get(service, "status"));
    if (own.n && given.n) {
        return arena_printf(arena, "%.*s,%.*s", STR_ARG(given), STR_ARG(own));
    }
    return own.n ? own : given.n ? given : STR("<pending>");
}

static struct str ports_text(struct arena *arena, const struct doc_value *ports) {
    struct str out = {"", 0};
    for (DOC_EACH_ITEM(ports, port)) {
        long long number = doc_int(doc_get(port, "port"), 0);
        long long node_port = doc_int(doc_get(port, "nodePort"), 0);
        struct str protocol = doc_get_str(port, "protocol");
        struct str one =
            node_port ? arena_printf(arena, "%lld:%lld/%.*s", number, node_port, STR_ARG(protocol))
                      : arena_printf(arena, "%lld/%.*s", number, STR_ARG(protocol));
        out = arena_printf(arena, "%.*s%s%.*s", STR_ARG(out), out.n ? "," : "", STR_ARG(one));
    }
    return out.n ? out : STR("<none>");
}

static const struct api_column service_columns[] = {
    COL_NAME,       COL("Type"), COL("Cluster-IP"), COL("External-IP"),
    COL("Port(s)"), COL("Age"),  WIDE("Selector"),
};

static void fill_service(struct table_row *row, const struct doc_value *service) {
    const struct doc_value *spec = doc_get(service, "spec");
    table_cell_name(row, service);
    table_cell_str(row, doc_get_str(spec, "type"));
    table_cell_or(row, doc_str(doc_at(doc_get(spec, "clusterIPs"), 0)), "<none>");
    table_cell_str(row, external_text(row->arena, service));
    table_cell_str(row, ports_text(row->arena, doc_get(spec, "ports")));
    table_cell_age(row, service);
    table_cell_or(row, table_labels_text(row->arena, doc_get(spec, "selector")), "<none>");
}

// ---- Endpoints ----

struct shown { // the first few of a list, and how many there are
    struct arena *arena;
    struct str text;
    size_t count;
};

static void show(struct shown *shown, struct str one) {
    if (shown->count++ < SHOWN_MAX) {
        shown->text = arena_printf(shown->arena, "%.*s%s%.*s", STR_ARG(shown->text),
                                   shown->text.n ? "," : "", STR_ARG(one));
    }
}

static struct str shown_text(const struct shown *shown, const char *none) {
    if (shown->count == 0) {
        return str_from(none);
    }
    return shown->count > SHOWN_MAX ? arena_printf(shown->arena, "%.*s + %zu more...",
                                                   STR_ARG(shown->text), shown->count - SHOWN_MAX)
                                    : shown->text;
}

static const struct api_column endpoints_columns[] = {COL_NAME, COL("Endpoints"), COL("Age")};

static void fill_endpoints(struct table_row *row, const struct doc_value *object) {
    struct shown shown = {.arena = row->arena, .text = STR("")};
    for (DOC_EACH_ITEM(doc_get(object, "subsets"), subset)) {
        const struct doc_value *ports = doc_get(subset, "ports");
        for (DOC_EACH_ITEM(ports, port)) {
            for (DOC_EACH_ITEM(doc_get(subset, "addresses"), address)) {
                struct str ip = doc_get_str(address, "ip");
                bool six = str_find_char(ip, ':') != STR_NPOS;
                show(&shown,
                     arena_printf(row->arena, six ? "[%.*s]:%lld" : "%.*s:%lld", STR_ARG(ip),
                                  (long long)doc_int(doc_get(port, "port"), 0)));
            }
        }
        if (doc_len(ports) == 0) {
            for (DOC_EACH_ITEM(doc_get(subset, "addresses"), address)) {
                show(&shown, doc_get_str(address, "ip"));
            }
        }
    }
    table_cell_name(row, object);
    table_cell_str(row, shown_text(&shown, "<none>"));
    table_cell_age(row, object);
}

static const struct api_column slice_columns[] = {COL_NAME, COL("AddressType"), COL("Ports"),
                                                  COL("Endpoints"), COL("Age")};

static void fill_slice(struct table_row *row, const struct doc_value *slice) {
    struct shown ports = {.arena = row->arena, .text = STR("")};
    struct shown addresses = {.arena = row->arena, .text = STR("")};
    for (DOC_EACH_ITEM(doc_get(slice, "ports"), port)) {
        const struct doc_value *number = doc_get(port, "port");
        struct str name = doc_get_str(port, "name");
        show(&ports, !doc_is_null(number) ? table_scalar_text(row->arena, number)
                     : name.n             ? name
                                          : STR("*"));
    }
    for (DOC_EACH_ITEM(doc_get(slice, "endpoints"), endpoint)) {
        for (DOC_EACH_ITEM(doc_get(endpoint, "addresses"), address)) {
            show(&addresses, doc_str(address));
        }
    }
    table_cell_name(row, slice);
    table_cell_str(row, doc_get_str(slice, "addressType"));
    table_cell_str(row, shown_text(&ports, "<unset>"));
    table_cell_str(row, shown_text(&addresses, "<unset>"));
    table_cell_age(row, slice);
}

// ---- Ingress ----

static struct str hosts_text(struct arena *arena, const struct doc_value *rules) {
    struct shown shown = {.arena = arena, .text = STR("")};
    for (DOC_EACH_ITEM(rules, rule)) {
        struct str host = doc_get_str(rule, "host");
        if (host.n) {
            show(&shown, host);
        }
    }
    return shown_text(&shown, "*");
}

static const struct api_column ingress_columns[] = {
    COL_NAME, COL("Class"), COL("Hosts"), COL("Address"), COL("Ports"), COL("Age"),
};

static void fill_ingress(struct table_row *row, const struct doc_value *ingress) {
    const struct doc_value *spec = doc_get(ingress, "spec");
    table_cell_name(row, ingress);
    table_cell_or(row, doc_get_str(spec, "ingressClassName"), "<none>");
    table_cell_str(row, hosts_text(row->arena, doc_get(spec, "rules")));
    table_cell_str(row, load_balancer_text(row->arena, doc_get(ingress, "status")));
    table_cell_text(row, doc_len(doc_get(spec, "tls")) > 0 ? "80, 443" : "80");
    table_cell_age(row, ingress);
}

static const struct api_column class_columns[] = {COL_NAME, COL("Controller"), COL("Parameters"),
                                                  COL("Age")};

static void fill_class(struct table_row *row, const struct doc_value *class) {
    const struct doc_value *parameters = doc_get(class, "spec", "parameters");
    table_cell_name(row, class);
    table_cell_str(row, doc_get_str(class, "spec", "controller"));
    if (doc_is(parameters, DOC_OBJECT)) {
        struct str group = doc_get_str(parameters, "apiGroup");
        table_cell_printf(row, "%.*s%s%.*s/%.*s", STR_ARG(doc_get_str(parameters, "kind")),
                          group.n ? "." : "", STR_ARG(group),
                          STR_ARG(doc_get_str(parameters, "name")));
    } else {
        table_cell_text(row, "<none>");
    }
    table_cell_age(row, class);
}

// ---- Policies and ranges ----

static const struct api_column policy_columns[] = {COL_NAME, COL("Pod-Selector"), COL("Age")};

static void fill_policy(struct table_row *row, const struct doc_value *policy) {
    table_cell_name(row, policy);
    table_cell_str(row, table_selector_text(row->arena, doc_get(policy, "spec", "podSelector")));
    table_cell_age(row, policy);
}

static const struct api_column range_columns[] = {COL_NAME, COL("CIDRs"), COL("Age")};

static void fill_range(struct table_row *row, const struct doc_value *range) {
    table_cell_name(row, range);
    table_cell_str(row, table_join_items(row->arena, doc_get(range, "spec", "cidrs"), NULL, ","));
    table_cell_age(row, range);
}

static const struct api_column address_columns[] = {COL_NAME, COL("ParentRef")};

static void fill_address(struct table_row *row, const struct doc_value *address) {
    static const char *const parts[] = {"group", "resource", "namespace", "name"};
    const struct doc_value *parent = doc_get(address, "spec", "parentRef");
    struct str text = {"", 0};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct str part = doc_str(doc_find(parent, str_from(parts[i])));
        if (part.n) {
            text = arena_printf(row->arena, "%.*s%s%.*s", STR_ARG(text), text.n ? "/" : "",
                                STR_ARG(part));
        }
    }
    table_cell_name(row, address);
    table_cell_str(row, text);
    table_cell_age(row, address); // one more than there are columns, as Kubernetes has it
}

const struct table_kind table_network[] = {
    TABLE_KIND("", "Service", service_columns, fill_service),
    TABLE_KIND("", "Endpoints", endpoints_columns, fill_endpoints),
    TABLE_KIND("discovery.k8s.io", "EndpointSlice", slice_columns, fill_slice),
    TABLE_KIND("networking.k8s.io", "Ingress", ingress_columns, fill_ingress),
    TABLE_KIND("networking.k8s.io", "IngressClass", class_columns, fill_class),
    TABLE_KIND("networking.k8s.io", "NetworkPolicy", policy_columns, fill_policy),
    TABLE_KIND("networking.k8s.io", "ServiceCIDR", range_columns, fill_range),
    TABLE_KIND("networking.k8s.io", "IPAddress", address_columns, fill_address),
    {0},
};
