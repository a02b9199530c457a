// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/disk"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"
)

var apiChecks = []check{
	{"discovery: groups, resources, preferred ones", discover},
	{"discovery: kept in a folder", discoverDisk},
	{"discovery: openapi v2 and v3", openAPI},
	{"discovery: REST mapper and short names", mapper},
	{"scale: of a deployment", scales},
	{"token: requested, reviewed, used", token},
	{"access: reviews", reviews},
	{"access: impersonation", impersonate},
	{"requests: JSON for who prefers protobuf", contentTypes},
	{"requests: bodies in protobuf", protobufBodies},
	{"requests: warnings reach the client", warnings},
	{"requests: raw, health and version", raw},
}

func discover(_ context.Context, w *world) error {
	client := memory.NewMemCacheClient(w.client.Discovery())
	_, lists, err := client.ServerGroupsAndResources()
	if err != nil {
		return err
	}
	found := 0
	for _, list := range lists {
		for _, resource := range list.APIResources {
			if list.GroupVersion == "apps/v1" && slices.Contains([]string{"deployments", "deployments/scale", "deployments/status"}, resource.Name) {
				found++
			}
		}
	}
	if found != 3 {
		return fmt.Errorf("%d of 3 resources of deployments", found)
	}
	preferred, err := discovery.ServerPreferredNamespacedResources(client)
	if err != nil {
		return err
	}
	hpa := ""
	for _, list := range preferred {
		for _, resource := range list.APIResources {
			if resource.Kind == "HorizontalPodAutoscaler" {
				hpa = list.GroupVersion
			}
		}
	}
	if !client.Fresh() {
		return fmt.Errorf("the cache is not fresh")
	}
	client.Invalidate()
	if _, err := client.ServerResourcesForGroupVersion("batch/v1"); err != nil {
		return err
	}
	return expect(hpa == "autoscaling/v2", "the preferred version of autoscalers is %q", hpa)
}

func discoverDisk(_ context.Context, w *world) error {
	folder, err := os.MkdirTemp("", "discovery")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	config := rest.CopyConfig(w.config)
	client, err := disk.NewCachedDiscoveryClientForConfig(config, folder, folder+"/http", time.Minute)
	if err != nil {
		return err
	}
	if _, err := client.ServerPreferredResources(); err != nil {
		return err
	}
	again, err := disk.NewCachedDiscoveryClientForConfig(config, folder, folder+"/http", time.Minute)
	if err != nil {
		return err
	}
	before := w.seen.count("GET /apis")
	if _, err := again.ServerPreferredResources(); err != nil {
		return err
	}
	return expect(w.seen.count("GET /apis") == before, "asked again")
}

func openAPI(_ context.Context, w *world) error {
	document, err := w.client.Discovery().OpenAPISchema()
	if err != nil {
		return fmt.Errorf("v2: %w", err)
	}
	names := 0
	for _, definition := range document.GetDefinitions().GetAdditionalProperties() {
		if definition.Name == "io.k8s.api.apps.v1.DeploymentSpec" {
			names = len(definition.Value.GetProperties().GetAdditionalProperties())
		}
	}
	if names != 8 {
		return fmt.Errorf("v2: %d fields of a deployment's spec", names)
	}
	paths, err := w.client.Discovery().OpenAPIV3().Paths()
	if err != nil {
		return fmt.Errorf("v3: %w", err)
	}
	group, found := paths["apis/apps/v1"]
	if !found {
		return fmt.Errorf("v3: no apps/v1 among %d", len(paths))
	}
	text, err := group.Schema("application/json")
	if err != nil {
		return err
	}
	return expect(strings.Contains(string(text), "io.k8s.api.apps.v1.DeploymentSpec"), "v3: no schema of deployments")
}

func mapper(_ context.Context, w *world) error {
	client := memory.NewMemCacheClient(w.client.Discovery())
	m := restmapper.NewShortcutExpander(restmapper.NewDeferredDiscoveryRESTMapper(client), client, nil)
	for short, want := range map[string]string{"deploy": "deployments", "cm": "configmaps", "netpol": "networkpolicies", "crd": "customresourcedefinitions", "services": "services"} {
		resource, err := m.ResourceFor(schema.GroupVersionResource{Resource: short})
		if err != nil {
			return err
		}
		if resource.Resource != want {
			return fmt.Errorf("%s is %v", short, resource)
		}
	}
	mapping, err := m.RESTMapping(schema.GroupKind{Group: "apps", Kind: "Deployment"})
	if err != nil {
		return err
	}
	return expect(mapping.Resource.Version == "v1" && mapping.Scope.Name() == "namespace", "%+v", mapping)
}

func scales(ctx context.Context, w *world) error {
	client := memory.NewMemCacheClient(w.client.Discovery())
	m := restmapper.NewDeferredDiscoveryRESTMapper(client)
	scaler, err := scale.NewForConfig(w.config, m, dynamicPath, scale.NewDiscoveryScaleKindResolver(client))
	if err != nil {
		return err
	}
	deployments := schema.GroupResource{Group: "apps", Resource: "deployments"}
	now, err := scaler.Scales(w.namespace).Get(ctx, deployments, "applied", metav1.GetOptions{})
	if err != nil {
		return err
	}
	now.Spec.Replicas = 2
	if _, err := scaler.Scales(w.namespace).Update(ctx, deployments, now, metav1.UpdateOptions{}); err != nil {
		return err
	}
	return eventually(ctx, "two replicas", func() bool {
		then, err := scaler.Scales(w.namespace).Get(ctx, deployments, "applied", metav1.GetOptions{})
		return err == nil && then.Status.Replicas == 2 && then.Status.Selector == "app=applied"
	})
}

func dynamicPath(kind schema.GroupVersionKind) string {
	if kind.Group == "" {
		return "/api"
	}
	return "/apis"
}

func token(ctx context.Context, w *world) error {
	accounts := w.client.CoreV1().ServiceAccounts(w.namespace)
	if _, err := accounts.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}, metav1.CreateOptions{}); err != nil {
		return err
	}
	hour := int64(3600)
	request, err := accounts.CreateToken(ctx, "robot", &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &hour}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	review, err := w.client.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: request.Status.Token}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	name := "system:serviceaccount:" + w.namespace + ":robot"
	if !review.Status.Authenticated || review.Status.User.Username != name {
		return fmt.Errorf("reviewed: %+v", review.Status)
	}
	config := rest.AnonymousClientConfig(w.config)
	config.BearerToken = request.Status.Token
	robot, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	_, err = robot.CoreV1().ConfigMaps(w.namespace).List(ctx, metav1.ListOptions{})
	if !apierrors.IsForbidden(err) {
		return fmt.Errorf("the robot may list without a role: %v", err)
	}
	role := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "robot"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "robot", Namespace: w.namespace}}}
	if _, err := w.client.RbacV1().RoleBindings(w.namespace).Create(ctx, role, metav1.CreateOptions{}); err != nil {
		return err
	}
	return eventually(ctx, "the robot lists with its role", func() bool {
		_, err := robot.CoreV1().ConfigMaps(w.namespace).List(ctx, metav1.ListOptions{})
		return err == nil
	})
}

func reviews(ctx context.Context, w *world) error {
	self := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: w.namespace, Verb: "create", Group: "apps", Resource: "deployments"}}}
	mine, err := w.client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, self, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	other := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: "jane", ResourceAttributes: self.Spec.ResourceAttributes}}
	hers, err := w.client.AuthorizationV1().SubjectAccessReviews().Create(ctx, other, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	who, err := w.client.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	rules, err := w.client.AuthorizationV1().SelfSubjectRulesReviews().Create(ctx,
		&authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: w.namespace}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	return expect(mine.Status.Allowed && !hers.Status.Allowed && who.Status.UserInfo.Username != "" && len(rules.Status.ResourceRules) > 0,
		"mine %v, hers %v, who %q, %d rules", mine.Status.Allowed, hers.Status.Allowed, who.Status.UserInfo.Username, len(rules.Status.ResourceRules))
}

func impersonate(ctx context.Context, w *world) error {
	config := rest.CopyConfig(w.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "jane", Groups: []string{"team"}}
	jane, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	who, err := jane.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if who.Status.UserInfo.Username != "jane" || !slices.Contains(who.Status.UserInfo.Groups, "team") {
		return fmt.Errorf("%+v", who.Status.UserInfo)
	}
	_, err = jane.CoreV1().Secrets(w.namespace).List(ctx, metav1.ListOptions{})
	return expect(apierrors.IsForbidden(err), "jane may read secrets: %v", err)
}

func contentTypes(ctx context.Context, w *world) error {
	config := rest.CopyConfig(w.config)
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	object, err := client.CoreV1().ConfigMaps(w.namespace).Get(ctx, "before", metav1.GetOptions{})
	if err != nil {
		return err
	}
	return expect(object.Name == "before", "fields: %v", sortedKeys(object))
}

type warned struct{ texts []string }

func (w *warned) HandleWarningHeader(_ int, _ string, text string) { w.texts = append(w.texts, text) }

func warnings(ctx context.Context, w *world) error {
	config := rest.CopyConfig(w.config)
	handler := &warned{}
	config.WarningHandler = handler
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	body := `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"warned"},"datas":{}}`
	err = client.CoreV1().RESTClient().Post().Namespace(w.namespace).Resource("configmaps").Param("fieldValidation", "Warn").
		SetHeader("Content-Type", "application/json").Body([]byte(body)).Do(ctx).Error()
	if err != nil {
		return err
	}
	return expect(len(handler.texts) == 1 && handler.texts[0] == `unknown field "datas"`, "%q", handler.texts)
}

func raw(ctx context.Context, w *world) error {
	client := w.client.Discovery().RESTClient()
	for _, path := range []string{"/healthz", "/readyz", "/livez"} {
		text, err := client.Get().AbsPath(path).DoRaw(ctx)
		if err != nil {
			return err
		}
		if string(text) != "ok" {
			return fmt.Errorf("%s: %s", path, text)
		}
	}
	version, err := w.client.Discovery().ServerVersion()
	if err != nil {
		return err
	}
	var code int
	client.Get().AbsPath("/nothing/here").Do(ctx).StatusCode(&code)
	return expect(code == http.StatusNotFound && version.Major == "1" && version.Minor != "", "code %d, version %+v", code, version)
}
