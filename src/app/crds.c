// SPDX-License-Identifier: Apache-2.0
// The CRDs of Application and AppProject: names, columns and scope of Argo CD's, open to unknown fields, status not a
// sub-resource (as there), so that exports of either system apply to the other.
#include "app/app.h"

#define OPEN "{\"type\":\"object\",\"x-kubernetes-preserve-unknown-fields\":true}"
#define CRD(plural, singular, kind, shorts, columns, properties, required)                     \
    "{\"apiVersion\":\"apiextensions.k8s.io/v1\",\"kind\":\"CustomResourceDefinition\","       \
    "\"metadata\":{\"name\":\"" plural ".argoproj.io\",\"labels\":{"                           \
    "\"app.kubernetes.io/name\":\"" plural ".argoproj.io\","                                   \
    "\"app.kubernetes.io/part-of\":\"argocd\"}},"                                              \
    "\"spec\":{\"group\":\"argoproj.io\",\"scope\":\"Namespaced\",\"names\":{\"kind\":\"" kind \
    "\",\"listKind\":\"" kind "List\",\"plural\":\"" plural "\",\"singular\":\"" singular      \
    "\",\"shortNames\":[" shorts "]},\"versions\":[{\"name\":\"v1alpha1\",\"served\":true,"    \
    "\"storage\":true,\"subresources\":{},\"additionalPrinterColumns\":[" columns              \
    "],\"schema\":{\"openAPIV3Schema\":{\"type\":\"object\",\"required\":[" required           \
    "],\"properties\":{\"apiVersion\":{\"type\":\"string\"},\"kind\":{\"type\":\"string\"},"   \
    "\"metadata\":{\"type\":\"object\"}," properties "}}}}]}}"
#define COLUMN(name, path, more) \
    "{\"name\":\"" name "\",\"type\":\"string\",\"jsonPath\":\"" path "\"" more "}"

static const char crds[] = "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[" CRD(
    "applications", "application", "Application", "\"app\",\"apps\"",
    COLUMN("Sync Status", ".status.sync.status",
           "") "," COLUMN("Health Status", ".status.health.status",
                          "") "," COLUMN("Revision", ".status.sync.revision",
                                         ",\"priority\":10") "," COLUMN("Project", ".spec.project",
                                                                        ",\"priority\":10"),
    "\"spec\":" OPEN ",\"status\":" OPEN ",\"operation\":" OPEN,
    "\"metadata\",\"spec\"") "," CRD("appprojects", "appproject", "AppProject",
                                     "\"appproj\",\"appprojs\"", "",
                                     "\"spec\":" OPEN ",\"status\":" OPEN,
                                     "\"metadata\",\"spec\"") "]}";

struct str app_crds_json(void) {
    return (struct str){crds, sizeof crds - 1};
}
