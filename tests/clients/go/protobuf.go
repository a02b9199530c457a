// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// protobufBodies sends an object of each kind as controllers that prefer protobuf do: the client of controller-runtime chooses it by itself.
func protobufBodies(ctx context.Context, w *world) error {
	c, err := client.New(rest.CopyConfig(w.config), client.Options{Scheme: scheme.Scheme})
	if err != nil {
		return err
	}
	labels := map[string]string{"app": "proto"}
	selector := &metav1.LabelSelector{MatchLabels: labels}
	pod := corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "registry.example.com/c:1",
		Env:       []corev1.EnvVar{{Name: "A", Value: "1"}},
		Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")}}}}}
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod}
	jobTemplate := template
	jobTemplate.Spec.RestartPolicy = corev1.RestartPolicyNever
	one, name, group := int32(1), "x", "apps"
	half := intstr.FromString("50%")
	none := admissionv1.SideEffectClassNone
	url := "https://127.0.0.1:1/"
	path := networkingv1.PathTypePrefix
	backend := networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: "s", Port: networkingv1.ServiceBackendPort{Number: 80}}}
	paths := &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{Path: "/", PathType: &path, Backend: backend}}}
	claim := corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}}}
	rules := []rbacv1.PolicyRule{{APIGroups: []string{group}, Resources: []string{"deployments"}, Verbs: []string{"get"}}}
	role := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"}
	hook := admissionv1.ValidatingWebhook{Name: "a.example.com", ClientConfig: admissionv1.WebhookClientConfig{URL: &url}, SideEffects: &none, AdmissionReviewVersions: []string{"v1"}}
	about := corev1.ObjectReference{Kind: "ConfigMap", Namespace: w.namespace, Name: "before", APIVersion: "v1"}
	objects := []client.Object{
		&corev1.ConfigMap{Data: map[string]string{"a": "b"}, BinaryData: map[string][]byte{"c": {255}}},
		&corev1.Secret{StringData: map[string]string{"a": "b"}},
		&corev1.Service{Spec: corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromString("http")}}}},
		&corev1.ServiceAccount{},
		&corev1.Pod{Spec: pod},
		&corev1.PersistentVolumeClaim{Spec: claim},
		&corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{AccessModes: claim.AccessModes, Capacity: claim.Resources.Requests,
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/tmp"}}}},
		&corev1.ResourceQuota{Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("900")}}},
		&corev1.LimitRange{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer}}}},
		&corev1.Event{InvolvedObject: about, Reason: "A", Type: "Normal", Source: corev1.EventSource{Component: "c"}, Message: "m", Count: 1},
		&corev1.Endpoints{}, //nolint:staticcheck // still written by old controllers
		&appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: &one, Selector: selector, Template: template,
			Strategy: appsv1.DeploymentStrategy{RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &half}}}},
		&appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{Selector: selector, Template: template, ServiceName: "s",
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}, Spec: claim}}}},
		&appsv1.DaemonSet{Spec: appsv1.DaemonSetSpec{Selector: selector, Template: template}},
		&appsv1.ReplicaSet{Spec: appsv1.ReplicaSetSpec{Selector: selector, Template: template}},
		&batchv1.Job{Spec: batchv1.JobSpec{Template: jobTemplate}},
		&batchv1.CronJob{Spec: batchv1.CronJobSpec{Schedule: "@yearly", JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: jobTemplate}}}},
		&networkingv1.Ingress{Spec: networkingv1.IngressSpec{IngressClassName: &name, Rules: []networkingv1.IngressRule{{Host: "a.example.com",
			IngressRuleValue: networkingv1.IngressRuleValue{HTTP: paths}}}}},
		&networkingv1.NetworkPolicy{Spec: networkingv1.NetworkPolicySpec{PodSelector: *selector, Ingress: []networkingv1.NetworkPolicyIngressRule{{}}}},
		&networkingv1.IngressClass{Spec: networkingv1.IngressClassSpec{Controller: "example.com/c"}},
		&policyv1.PodDisruptionBudget{Spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: &half, Selector: selector}},
		&rbacv1.Role{Rules: rules},
		&rbacv1.ClusterRole{Rules: rules},
		&rbacv1.RoleBinding{RoleRef: role, Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "default", Namespace: w.namespace}}},
		&rbacv1.ClusterRoleBinding{RoleRef: role, Subjects: []rbacv1.Subject{{Kind: "User", Name: "jane", APIGroup: rbacv1.GroupName}}},
		&autoscalingv2.HorizontalPodAutoscaler{Spec: autoscalingv2.HorizontalPodAutoscalerSpec{MinReplicas: &one, MaxReplicas: 3,
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{Kind: "Deployment", Name: "x", APIVersion: "apps/v1"}}},
		&coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{HolderIdentity: &name, RenewTime: &metav1.MicroTime{Time: metav1.Now().Time}}},
		&discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"192.0.2.1"}}}},
		&schedulingv1.PriorityClass{Value: 5},
		&storagev1.StorageClass{Provisioner: "example.com/p"},
		&nodev1.RuntimeClass{Handler: "h"},
		&admissionv1.ValidatingWebhookConfiguration{Webhooks: []admissionv1.ValidatingWebhook{hook}},
		&admissionv1.MutatingWebhookConfiguration{},
		&corev1.Namespace{},
		&corev1.Node{},
	}
	var failed []string
	for _, object := range objects {
		object.SetName("proto")
		if namespaced, err := c.IsObjectNamespaced(object); err != nil {
			return err
		} else if namespaced {
			object.SetNamespace(w.namespace)
		}
		if err := c.Create(ctx, object, client.DryRunAll); err != nil {
			failed = append(failed, fmt.Sprintf("%T: %v", object, err))
		}
	}
	return expect(len(failed) == 0, "%d of %d kinds: %s", len(failed), len(objects), strings.Join(failed, "; "))
}
