// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	applyapps "k8s.io/client-go/applyconfigurations/apps/v1"
	applycore "k8s.io/client-go/applyconfigurations/core/v1"
	applymeta "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/retry"
)

var writeChecks = []check{
	{"apply: typed, twice, extracted", applyTyped},
	{"apply: a conflict names its field and manager", applyConflict},
	{"apply: lists of a deployment by key", applyDeployment},
	{"apply: a status", applyStatus},
	{"apply: dynamic", applyDynamic},
	{"update: retry on conflict", retryOnConflict},
	{"update: preconditions of a deletion", preconditions},
	{"patch: strategic, merge, json", patches},
	{"delete: a collection by label", deleteCollection},
	{"create: generated names, dry run, already exists", creates},
	{"errors: reasons and causes", reasons},
	{"leader election: two instances, one leads, the other follows", leaderElection},
	{"events: recorded, counted", recordEvents},
	{"events: of the new group", recordNewEvents},
}

func applyTyped(ctx context.Context, w *world) error {
	maps := w.client.CoreV1().ConfigMaps(w.namespace)
	wanted := applycore.ConfigMap("applied", w.namespace).WithLabels(map[string]string{"l": "1"}).WithData(map[string]string{"a": "1", "b": "1"})
	first, err := maps.Apply(ctx, wanted, metav1.ApplyOptions{FieldManager: "go"})
	if err != nil {
		return err
	}
	again, err := maps.Apply(ctx, wanted, metav1.ApplyOptions{FieldManager: "go"})
	if err != nil {
		return err
	}
	if first.ResourceVersion != again.ResourceVersion {
		return fmt.Errorf("an apply that changes nothing wrote a version")
	}
	if _, err := maps.Patch(ctx, "applied", types.MergePatchType, []byte(`{"data":{"c":"1"}}`), metav1.PatchOptions{FieldManager: "other"}); err != nil {
		return err
	}
	live, err := maps.Get(ctx, "applied", metav1.GetOptions{})
	if err != nil {
		return err
	}
	mine, err := applycore.ExtractConfigMap(live, "go")
	if err != nil {
		return err
	}
	if len(mine.Data) != 2 || mine.Labels["l"] != "1" {
		return fmt.Errorf("extracted %v %v", mine.Data, mine.Labels)
	}
	delete(mine.Data, "b")
	last, err := maps.Apply(ctx, mine, metav1.ApplyOptions{FieldManager: "go"})
	if err != nil {
		return err
	}
	_, kept := last.Data["c"]
	_, gone := last.Data["b"]
	return expect(kept && !gone, "after the removal: %v", last.Data)
}

func applyConflict(ctx context.Context, w *world) error {
	maps := w.client.CoreV1().ConfigMaps(w.namespace)
	wanted := applycore.ConfigMap("applied", w.namespace).WithData(map[string]string{"a": "other"})
	_, err := maps.Apply(ctx, wanted, metav1.ApplyOptions{FieldManager: "rival"})
	if !apierrors.IsConflict(err) {
		return fmt.Errorf("no conflict: %v", err)
	}
	status := err.(apierrors.APIStatus).Status()
	if status.Details == nil || len(status.Details.Causes) != 1 {
		return fmt.Errorf("causes: %+v", status.Details)
	}
	cause := status.Details.Causes[0]
	if cause.Type != metav1.CauseTypeFieldManagerConflict || cause.Field != ".data.a" || cause.Message != `conflict with "go" using v1` && cause.Message != `conflict with "go"` {
		return fmt.Errorf("cause: %+v", cause)
	}
	forced, err := maps.Apply(ctx, wanted, metav1.ApplyOptions{FieldManager: "rival", Force: true})
	if err != nil {
		return err
	}
	return expect(forced.Data["a"] == "other", "forced: %v", forced.Data)
}

func container(name, image string) *applycore.ContainerApplyConfiguration {
	return applycore.Container().WithName(name).WithImage("registry.example.com/" + image)
}

func applyDeployment(ctx context.Context, w *world) error {
	labels := map[string]string{"app": "applied"}
	wanted := applyapps.Deployment("applied", w.namespace).WithSpec(applyapps.DeploymentSpec().WithReplicas(1).
		WithSelector(applymeta.LabelSelector().WithMatchLabels(labels)).
		WithTemplate(applycore.PodTemplateSpec().WithLabels(labels).WithSpec(applycore.PodSpec().WithContainers(container("main", "main:1")))))
	deployments := w.client.AppsV1().Deployments(w.namespace)
	if _, err := deployments.Apply(ctx, wanted, metav1.ApplyOptions{FieldManager: "go"}); err != nil {
		return err
	}
	side := applyapps.Deployment("applied", w.namespace).WithSpec(applyapps.DeploymentSpec().
		WithTemplate(applycore.PodTemplateSpec().WithSpec(applycore.PodSpec().WithContainers(container("side", "side:1")))))
	both, err := deployments.Apply(ctx, side, metav1.ApplyOptions{FieldManager: "injector"})
	if err != nil {
		return err
	}
	if n := len(both.Spec.Template.Spec.Containers); n != 2 {
		return fmt.Errorf("%d containers of two managers", n)
	}
	one, err := deployments.Apply(ctx, applyapps.Deployment("applied", w.namespace), metav1.ApplyOptions{FieldManager: "injector"})
	if err != nil {
		return err
	}
	if n := len(one.Spec.Template.Spec.Containers); n != 1 {
		return fmt.Errorf("%d containers after one manager left", n)
	}
	return eventually(ctx, "the deployment becomes available", func() bool {
		live, err := deployments.Get(ctx, "applied", metav1.GetOptions{})
		return err == nil && live.Status.AvailableReplicas == 1 && live.Status.ObservedGeneration == live.Generation
	})
}

func applyStatus(ctx context.Context, w *world) error {
	services := w.client.CoreV1().Services(w.namespace)
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "status"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
	if _, err := services.Create(ctx, service, metav1.CreateOptions{}); err != nil {
		return err
	}
	condition := applymeta.Condition().WithType("Ready").WithStatus(metav1.ConditionTrue).WithReason("Ok").WithMessage("").WithLastTransitionTime(metav1.Now())
	wanted := applycore.Service("status", w.namespace).WithStatus(applycore.ServiceStatus().WithConditions(condition))
	live, err := services.ApplyStatus(ctx, wanted, metav1.ApplyOptions{FieldManager: "go"})
	if err != nil {
		return err
	}
	owner := ""
	for _, entry := range live.ManagedFields {
		if entry.Manager == "go" {
			owner = entry.Subresource
		}
	}
	return expect(len(live.Status.Conditions) == 1 && owner == "status", "conditions %v, owned by sub-resource %q", live.Status.Conditions, owner)
}

func applyDynamic(ctx context.Context, w *world) error {
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "dynamic", "namespace": w.namespace},
		"data": map[string]any{"x": "y"},
	}}
	live, err := w.dynamic.Resource(configMaps).Namespace(w.namespace).Apply(ctx, "dynamic", object, metav1.ApplyOptions{FieldManager: "go"})
	if err != nil {
		return err
	}
	value, _, _ := unstructured.NestedString(live.Object, "data", "x")
	return expect(value == "y" && live.GetManagedFields()[0].Operation == metav1.ManagedFieldsOperationApply, "%v", live.Object)
}

func retryOnConflict(ctx context.Context, w *world) error {
	if err := w.configMap(ctx, "counter", nil, map[string]string{"n": "0"}); err != nil {
		return err
	}
	maps := w.client.CoreV1().ConfigMaps(w.namespace)
	backoff := retry.DefaultBackoff
	backoff.Steps = 50
	var group sync.WaitGroup
	var conflicts atomic.Int32
	failures := make(chan error, 40)
	for range 4 {
		group.Add(1)
		go func() {
			defer group.Done()
			for range 10 {
				failures <- retry.RetryOnConflict(backoff, func() error {
					object, err := maps.Get(ctx, "counter", metav1.GetOptions{})
					if err != nil {
						return err
					}
					n, _ := strconv.Atoi(object.Data["n"])
					object.Data["n"] = strconv.Itoa(n + 1)
					_, err = maps.Update(ctx, object, metav1.UpdateOptions{})
					if apierrors.IsConflict(err) {
						conflicts.Add(1)
					}
					return err
				})
			}
		}()
	}
	group.Wait()
	close(failures)
	for err := range failures {
		if err != nil {
			return err
		}
	}
	object, err := maps.Get(ctx, "counter", metav1.GetOptions{})
	if err != nil {
		return err
	}
	return expect(object.Data["n"] == "40", "counted to %s with %d conflicts", object.Data["n"], conflicts.Load())
}

func preconditions(ctx context.Context, w *world) error {
	if err := w.configMap(ctx, "guarded", nil, nil); err != nil {
		return err
	}
	maps := w.client.CoreV1().ConfigMaps(w.namespace)
	wrong := types.UID("11111111-1111-1111-1111-111111111111")
	err := maps.Delete(ctx, "guarded", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &wrong}})
	if !apierrors.IsConflict(err) {
		return fmt.Errorf("deleted with a wrong uid: %v", err)
	}
	object, err := maps.Get(ctx, "guarded", metav1.GetOptions{})
	if err != nil {
		return err
	}
	return maps.Delete(ctx, "guarded", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &object.UID, ResourceVersion: &object.ResourceVersion}})
}

func patches(ctx context.Context, w *world) error {
	services := w.client.CoreV1().Services(w.namespace)
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "patched"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "a", Port: 80}}}}
	if _, err := services.Create(ctx, service, metav1.CreateOptions{}); err != nil {
		return err
	}
	for _, p := range []struct {
		kind  types.PatchType
		body  string
		ports int
	}{
		{types.StrategicMergePatchType, `{"spec":{"ports":[{"name":"b","port":81}]}}`, 2},
		{types.JSONPatchType, `[{"op":"add","path":"/spec/ports/-","value":{"name":"c","port":82,"protocol":"TCP"}}]`, 3},
		{types.MergePatchType, `{"spec":{"ports":[{"name":"d","port":83}]}}`, 1},
	} {
		live, err := services.Patch(ctx, "patched", p.kind, []byte(p.body), metav1.PatchOptions{})
		if err != nil {
			return fmt.Errorf("%s: %w", p.kind, err)
		}
		if len(live.Spec.Ports) != p.ports {
			return fmt.Errorf("%s: %d ports", p.kind, len(live.Spec.Ports))
		}
	}
	_, err := services.Patch(ctx, "patched", types.MergePatchType, []byte(`{"spec":{"clusterIP":"10.96.9.9"}}`), metav1.PatchOptions{})
	return expect(apierrors.IsInvalid(err), "an immutable field was changed: %v", err)
}

func deleteCollection(ctx context.Context, w *world) error {
	maps := w.client.CoreV1().ConfigMaps(w.namespace)
	err := maps.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "page=yes"})
	if err != nil {
		return err
	}
	list, err := maps.List(ctx, metav1.ListOptions{LabelSelector: "page=yes"})
	if err != nil {
		return err
	}
	return expect(len(list.Items) == 0, "%d are left", len(list.Items))
}

func creates(ctx context.Context, w *world) error {
	maps := w.client.CoreV1().ConfigMaps(w.namespace)
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "some-"}}
	one, err := maps.Create(ctx, object, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if len(one.Name) != len("some-")+5 || one.GenerateName != "some-" || one.UID == "" {
		return fmt.Errorf("generated %q", one.Name)
	}
	if _, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "dry"}}, metav1.CreateOptions{DryRun: []string{"All"}}); err != nil {
		return err
	}
	if _, err := maps.Get(ctx, "dry", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		return fmt.Errorf("a dry run was stored: %v", err)
	}
	_, err = maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: one.Name}}, metav1.CreateOptions{})
	return expect(apierrors.IsAlreadyExists(err), "made twice: %v", err)
}

func reasons(ctx context.Context, w *world) error {
	maps := w.client.CoreV1().ConfigMaps(w.namespace)
	_, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "Not_A_Name"}}, metav1.CreateOptions{})
	if !apierrors.IsInvalid(err) {
		return fmt.Errorf("a bad name: %v", err)
	}
	if cause, ok := apierrors.StatusCause(err, metav1.CauseTypeFieldValueInvalid); !ok || cause.Field != "metadata.name" {
		return fmt.Errorf("its cause: %+v", err)
	}
	stale := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "before", ResourceVersion: "1"}}
	if _, err := maps.Update(ctx, stale, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		return fmt.Errorf("an old version: %v", err)
	}
	_, err = w.client.CoreV1().ConfigMaps("nowhere").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, metav1.CreateOptions{})
	if !apierrors.IsNotFound(err) {
		return fmt.Errorf("no namespace: %v", err)
	}
	_, err = maps.List(ctx, metav1.ListOptions{LabelSelector: "a in b"})
	if !apierrors.IsBadRequest(err) {
		return fmt.Errorf("a bad selector: %v", err)
	}
	_, err = maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "managed"}}, metav1.CreateOptions{FieldValidation: "What"})
	return expect(apierrors.IsInvalid(err), "an unknown way of validation: %v", err)
}

func leaderElection(ctx context.Context, w *world) error {
	type instance struct {
		name   string
		cancel context.CancelFunc
		done   chan struct{}
	}
	leads := make(chan string, 10)
	start := func(name string) (*instance, error) {
		lock, err := resourcelock.New(resourcelock.LeasesResourceLock, w.namespace, "leader", w.client.CoreV1(), w.client.CoordinationV1(),
			resourcelock.ResourceLockConfig{Identity: name})
		if err != nil {
			return nil, err
		}
		running, cancel := context.WithCancel(ctx)
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock: lock, LeaseDuration: 4 * time.Second, RenewDeadline: 3 * time.Second, RetryPeriod: 500 * time.Millisecond, ReleaseOnCancel: true,
			Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: func(context.Context) { leads <- name }, OnStoppedLeading: func() {}},
		})
		if err != nil {
			cancel()
			return nil, err
		}
		one := &instance{name, cancel, make(chan struct{})}
		go func() {
			elector.Run(running)
			close(one.done)
		}()
		return one, nil
	}
	instances := map[string]*instance{}
	for _, name := range []string{"one", "two"} {
		one, err := start(name)
		if err != nil {
			return err
		}
		instances[name] = one
		defer one.cancel()
	}
	next := func() (string, error) {
		select {
		case name := <-leads:
			return name, nil
		case <-time.After(20 * time.Second):
			return "", fmt.Errorf("nobody leads")
		}
	}
	first, err := next()
	if err != nil {
		return err
	}
	select {
	case name := <-leads:
		return fmt.Errorf("%s and %s lead", first, name)
	case <-time.After(2 * time.Second):
	}
	instances[first].cancel()
	<-instances[first].done
	second, err := next()
	if err != nil {
		return err
	}
	lease, err := w.client.CoordinationV1().Leases(w.namespace).Get(ctx, "leader", metav1.GetOptions{})
	if err != nil {
		return err
	}
	instances[second].cancel()
	<-instances[second].done
	return expect(second != first && *lease.Spec.HolderIdentity == second && *lease.Spec.LeaseTransitions >= 1, "after %s: %s, lease %+v", first, second, lease.Spec)
}

func (w *world) subject(ctx context.Context) (*corev1.ConfigMap, error) {
	object, err := w.client.CoreV1().ConfigMaps(w.namespace).Get(ctx, "before", metav1.GetOptions{})
	if err == nil {
		object.APIVersion, object.Kind = "v1", "ConfigMap"
	}
	return object, err
}

func recordEvents(ctx context.Context, w *world) error {
	subject, err := w.subject(ctx)
	if err != nil {
		return err
	}
	broadcaster := record.NewBroadcaster()
	defer broadcaster.Shutdown()
	broadcaster.StartRecordingToSink(&typedSink{w})
	recorder := broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "go"})
	for range 3 {
		recorder.Eventf(subject, corev1.EventTypeNormal, "Tested", "a message")
	}
	return eventually(ctx, "one event, counted three times", func() bool {
		list, err := w.client.CoreV1().Events(w.namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=before,reason=Tested"})
		return err == nil && len(list.Items) == 1 && list.Items[0].Count == 3 && list.Items[0].Source.Component == "go"
	})
}

// typedSink writes events as record.EventSink wants it; the sink of client-go's typed package does the same for any namespace.
type typedSink struct{ w *world }

func (s *typedSink) Create(event *corev1.Event) (*corev1.Event, error) {
	return s.w.client.CoreV1().Events(event.Namespace).CreateWithEventNamespaceWithContext(context.Background(), event)
}

func (s *typedSink) Update(event *corev1.Event) (*corev1.Event, error) {
	return s.w.client.CoreV1().Events(event.Namespace).UpdateWithEventNamespaceWithContext(context.Background(), event)
}

func (s *typedSink) Patch(event *corev1.Event, data []byte) (*corev1.Event, error) {
	return s.w.client.CoreV1().Events(event.Namespace).PatchWithEventNamespaceWithContext(context.Background(), event, data)
}

func recordNewEvents(ctx context.Context, w *world) error {
	subject, err := w.subject(ctx)
	if err != nil {
		return err
	}
	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: w.client.EventsV1()})
	defer broadcaster.Shutdown()
	if err := broadcaster.StartRecordingToSinkWithContext(ctx); err != nil {
		return err
	}
	recorder := broadcaster.NewRecorder(scheme.Scheme, "go.example.com/tests")
	recorder.Eventf(subject, nil, corev1.EventTypeWarning, "Regarded", "Testing", "note %d", 1)
	return eventually(ctx, "the event in both groups", func() bool {
		list, err := w.client.EventsV1().Events(w.namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=Regarded"})
		if err != nil || len(list.Items) != 1 || list.Items[0].Note != "note 1" {
			return false
		}
		old, err := w.client.CoreV1().Events(w.namespace).Get(ctx, list.Items[0].Name, metav1.GetOptions{})
		return err == nil && old.Message == "note 1" && old.InvolvedObject.Name == "before"
	})
}

// sortedKeys is for messages.
func sortedKeys(object runtime.Object) []string {
	text, _ := json.Marshal(object)
	var fields map[string]any
	_ = json.Unmarshal(text, &fields)
	var keys []string
	for key := range fields {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
