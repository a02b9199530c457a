// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

var operatorChecks = []check{{"operator: a manager of controller-runtime with a kind of its own", operator}}

// Widget is the kind of the operator: it wants a ConfigMap with its colour.
type Widget struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              WidgetSpec   `json:"spec"`
	Status            WidgetStatus `json:"status,omitempty"`
}

type WidgetSpec struct {
	Colour string `json:"colour"`
}

type WidgetStatus struct {
	Observed int64 `json:"observed,omitempty"`
}

type WidgetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Widget `json:"items"`
}

func (w *Widget) DeepCopyObject() runtime.Object {
	c := *w
	w.ObjectMeta.DeepCopyInto(&c.ObjectMeta)
	return &c
}

func (l *WidgetList) DeepCopyObject() runtime.Object {
	c := *l
	c.Items = nil
	for n := range l.Items {
		c.Items = append(c.Items, *l.Items[n].DeepCopyObject().(*Widget))
	}
	return &c
}

var widgets = schema.GroupVersion{Group: "go.example.com", Version: "v1"}

const finalizer = "go.example.com/widget"

type reconciler struct{ client.Client }

func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	widget := &Widget{}
	if err := r.Get(ctx, request.NamespacedName, widget); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !widget.DeletionTimestamp.IsZero() {
		if controllerutil.RemoveFinalizer(widget, finalizer) {
			return ctrl.Result{}, r.Update(ctx, widget)
		}
		return ctrl.Result{}, nil
	}
	if controllerutil.AddFinalizer(widget, finalizer) {
		return ctrl.Result{}, r.Update(ctx, widget)
	}
	child := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "widget-" + widget.Name, Namespace: widget.Namespace}}
	_, err := controllerutil.CreateOrUpdate(ctx, r.Client, child, func() error {
		child.Data = map[string]string{"colour": widget.Spec.Colour}
		return controllerutil.SetControllerReference(widget, child, r.Scheme())
	})
	if err != nil {
		return ctrl.Result{}, err
	}
	if widget.Status.Observed != widget.Generation {
		widget.Status.Observed = widget.Generation
		return ctrl.Result{}, r.Status().Update(ctx, widget)
	}
	return ctrl.Result{}, nil
}

func widgetDefinition() *apiextensionsv1.CustomResourceDefinition {
	text := apiextensionsv1.JSONSchemaProps{Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{
		"spec":   {Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"colour": {Type: "string"}}},
		"status": {Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"observed": {Type: "integer", Format: "int64"}}},
	}}
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "widgets.go.example.com"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: widgets.Group, Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Kind: "Widget", ListKind: "WidgetList", Plural: "widgets", Singular: "widget"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true, Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &text},
				Subresources: &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
			}},
		},
	}
}

func operator(ctx context.Context, w *world) error {
	log.SetLogger(zap.New(zap.UseDevMode(false)))
	kinds := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, apiextensionsv1.AddToScheme} {
		if err := add(kinds); err != nil {
			return err
		}
	}
	kinds.AddKnownTypes(widgets, &Widget{}, &WidgetList{})
	metav1.AddToGroupVersion(kinds, widgets)
	config := rest.CopyConfig(w.config)
	direct, err := client.New(config, client.Options{Scheme: kinds})
	if err != nil {
		return err
	}
	definition := widgetDefinition()
	if err := direct.Create(ctx, definition); err != nil {
		return err
	}
	defer func() { _ = direct.Delete(context.Background(), definition) }()
	err = eventually(ctx, "the definition is established", func() bool {
		live := &apiextensionsv1.CustomResourceDefinition{}
		if direct.Get(ctx, types.NamespacedName{Name: definition.Name}, live) != nil {
			return false
		}
		for _, condition := range live.Status.Conditions {
			if condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue {
				return true
			}
		}
		return false
	})
	if err != nil {
		return err
	}
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: kinds, Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		Cache:          cache.Options{DefaultNamespaces: map[string]cache.Config{w.namespace: {}}},
		LeaderElection: true, LeaderElectionID: "widgets", LeaderElectionNamespace: w.namespace, LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return err
	}
	err = ctrl.NewControllerManagedBy(manager).For(&Widget{}).Owns(&corev1.ConfigMap{}).Complete(&reconciler{manager.GetClient()})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(running) }()
	defer func() {
		stop()
		<-ended
	}()
	return widgetLife(ctx, direct, w.namespace)
}

// widgetLife makes a widget, changes it, takes its child away and deletes it; the operator follows.
func widgetLife(ctx context.Context, direct client.Client, namespace string) error {
	widget := &Widget{ObjectMeta: metav1.ObjectMeta{Name: "one", Namespace: namespace}, Spec: WidgetSpec{Colour: "red"}}
	if err := direct.Create(ctx, widget); err != nil {
		return err
	}
	key := types.NamespacedName{Namespace: namespace, Name: "one"}
	childKey := types.NamespacedName{Namespace: namespace, Name: "widget-one"}
	child := &corev1.ConfigMap{}
	colour := func(want string) func() bool {
		return func() bool { return direct.Get(ctx, childKey, child) == nil && child.Data["colour"] == want }
	}
	if err := eventually(ctx, "the child is there", colour("red")); err != nil {
		return err
	}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"colour":"blue"}}`))
	if err := direct.Patch(ctx, widget, patch); err != nil {
		return err
	}
	if err := eventually(ctx, "the child follows", colour("blue")); err != nil {
		return err
	}
	uid := child.UID
	if err := direct.Delete(ctx, child); err != nil {
		return err
	}
	err := eventually(ctx, "the child comes back", func() bool {
		return direct.Get(ctx, childKey, child) == nil && child.UID != uid
	})
	if err != nil {
		return err
	}
	err = eventually(ctx, "the status is written", func() bool {
		return direct.Get(ctx, key, widget) == nil && widget.Status.Observed == widget.Generation && widget.Generation == 2
	})
	if err != nil {
		return fmt.Errorf("%w: generation %d, observed %d", err, widget.Generation, widget.Status.Observed)
	}
	if err := direct.Delete(ctx, widget); err != nil {
		return err
	}
	if err := eventually(ctx, "the widget is gone", func() bool {
		return client.IgnoreNotFound(direct.Get(ctx, key, widget)) == nil && direct.Get(ctx, key, widget) != nil
	}); err != nil {
		return err
	}
	started := time.Now()
	err = eventually(ctx, "its child is collected", func() bool { return direct.Get(ctx, childKey, child) != nil })
	return expect(err == nil, "%v after %s", err, time.Since(started))
}
