// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/pager"
	watchtools "k8s.io/client-go/tools/watch"
)

var configMaps = corev1.SchemeGroupVersion.WithResource("configmaps")

var informerChecks = []check{
	{"informer: shared, synced, follows changes", sharedInformer},
	{"informer: resync", resyncInformer},
	{"informer: by metadata", metadataInformer},
	{"informer: dynamic, by label", dynamicInformer},
	{"informer: relists when a version is gone", relistInformer},
	{"watch: bookmarks and initial events", bookmarks},
	{"watch: a lasting watcher goes on where it was", retryWatcher},
	{"watch: until with sync", untilWithSync},
	{"list: pages", pages},
	{"list: an old page is gone or consistent", oldPage},
}

func sharedInformer(ctx context.Context, w *world) error {
	if err := w.configMap(ctx, "before", nil, nil); err != nil {
		return err
	}
	before := w.seen.count("sendInitialEvents=true")
	factory := informers.NewSharedInformerFactoryWithOptions(w.client, 0, informers.WithNamespace(w.namespace))
	informer := factory.Core().V1().ConfigMaps().Informer()
	var added, updated, deleted atomic.Int32
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { added.Add(1) },
		UpdateFunc: func(any, any) { updated.Add(1) },
		DeleteFunc: func(any) { deleted.Add(1) },
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	for kind, ok := range factory.WaitForCacheSync(ctx.Done()) {
		if !ok {
			return fmt.Errorf("%v is not synced", kind)
		}
	}
	streamed := w.seen.count("sendInitialEvents=true") > before
	if streaming := os.Getenv("KUBE_FEATURE_WatchListClient") != "false"; streamed != streaming {
		return fmt.Errorf("streamed: %v, wanted: %v", streamed, streaming)
	}
	maps := w.client.CoreV1().ConfigMaps(w.namespace)
	if err := w.configMap(ctx, "after", nil, map[string]string{"a": "1"}); err != nil {
		return err
	}
	object, err := maps.Get(ctx, "after", metav1.GetOptions{})
	if err != nil {
		return err
	}
	object.Data["a"] = "2"
	if _, err := maps.Update(ctx, object, metav1.UpdateOptions{}); err != nil {
		return err
	}
	lister := factory.Core().V1().ConfigMaps().Lister().ConfigMaps(w.namespace)
	err = eventually(ctx, "the update in the cache", func() bool {
		found, err := lister.Get("after")
		return err == nil && found.Data["a"] == "2"
	})
	if err != nil {
		return err
	}
	if err := maps.Delete(ctx, "after", metav1.DeleteOptions{}); err != nil {
		return err
	}
	return eventually(ctx, "the deletion in the cache", func() bool {
		_, err := lister.Get("after")
		return apierrors.IsNotFound(err) && added.Load() >= 2 && updated.Load() >= 1 && deleted.Load() == 1
	})
}

func resyncInformer(ctx context.Context, w *world) error {
	factory := informers.NewSharedInformerFactoryWithOptions(w.client, time.Second, informers.WithNamespace(w.namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.FieldSelector = "metadata.name=before" }))
	var resyncs atomic.Int32
	_, err := factory.Core().V1().ConfigMaps().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(old, new any) {
			if old.(*corev1.ConfigMap).ResourceVersion == new.(*corev1.ConfigMap).ResourceVersion {
				resyncs.Add(1)
			}
		},
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	return eventually(ctx, "a resync", func() bool { return resyncs.Load() > 0 })
}

func metadataInformer(ctx context.Context, w *world) error {
	client, err := metadata.NewForConfig(w.config)
	if err != nil {
		return err
	}
	factory := metadatainformer.NewFilteredSharedInformerFactory(client, 0, w.namespace, nil)
	lister := factory.ForResource(configMaps).Lister()
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	if err := w.configMap(ctx, "partial", map[string]string{"only": "metadata"}, map[string]string{"a": "1"}); err != nil {
		return err
	}
	return eventually(ctx, "the metadata in the cache", func() bool {
		object, err := lister.ByNamespace(w.namespace).Get("partial")
		if err != nil {
			return false
		}
		partial, ok := object.(*metav1.PartialObjectMetadata)
		return ok && partial.Labels["only"] == "metadata"
	})
}

func dynamicInformer(ctx context.Context, w *world) error {
	factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(w.dynamic, 0, w.namespace,
		func(o *metav1.ListOptions) { o.LabelSelector = "pick=me" })
	informer := factory.ForResource(configMaps).Informer()
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	if err := w.configMap(ctx, "picked", map[string]string{"pick": "me"}, nil); err != nil {
		return err
	}
	keys := func() int { return len(informer.GetStore().ListKeys()) }
	if err := eventually(ctx, "one that matches", func() bool { return keys() == 1 }); err != nil {
		return err
	}
	// A change of the label takes it out of what is watched: that is a deletion.
	patch := []byte(`{"metadata":{"labels":{"pick":null}}}`)
	_, err := w.client.CoreV1().ConfigMaps(w.namespace).Patch(ctx, "picked", "application/merge-patch+json", patch, metav1.PatchOptions{})
	if err != nil {
		return err
	}
	return eventually(ctx, "it no longer matches", func() bool { return keys() == 0 })
}

// relistInformer makes the first watch ask for version 1. A server that has forgotten it says 410 and the informer lists anew; one
// that remembers sends what happened since.
func relistInformer(ctx context.Context, w *world) error {
	maps := w.client.CoreV1().ConfigMaps(w.namespace)
	var lists, watches atomic.Int32
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			lists.Add(1)
			return maps.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			if watches.Add(1) == 1 && o.SendInitialEvents == nil {
				o.ResourceVersion = "1"
			}
			return maps.Watch(ctx, o)
		},
	}
	informer := cache.NewSharedInformer(lw, &corev1.ConfigMap{}, 0)
	stopped := make(chan struct{})
	defer close(stopped)
	go informer.Run(stopped)
	if err := w.configMap(ctx, "relisted", nil, nil); err != nil {
		return err
	}
	return eventually(ctx, "the new object in the cache", func() bool {
		_, found, _ := informer.GetStore().GetByKey(w.namespace + "/relisted")
		return found && watches.Load() >= 1
	})
}

func bookmarks(ctx context.Context, w *world) error {
	yes := true
	stream, err := w.client.CoreV1().ConfigMaps(w.namespace).Watch(ctx, metav1.ListOptions{
		AllowWatchBookmarks: true, SendInitialEvents: &yes, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
	})
	if err != nil {
		return err
	}
	defer stream.Stop()
	initial := 0
	for event := range stream.ResultChan() {
		switch event.Type {
		case watch.Added:
			initial++
		case watch.Bookmark:
			object, err := meta.Accessor(event.Object)
			if err != nil {
				return err
			}
			ends := object.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true"
			return expect(ends && initial > 0 && object.GetResourceVersion() != "", "the end of %d initial events is not marked", initial)
		default:
			return fmt.Errorf("an event %s among the initial ones", event.Type)
		}
	}
	return fmt.Errorf("the stream ended")
}

func retryWatcher(ctx context.Context, w *world) error {
	maps := w.client.CoreV1().ConfigMaps(w.namespace)
	list, err := maps.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	short := int64(1)
	lw := &cache.ListWatch{WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
		o.TimeoutSeconds = &short // each watch ends after a second, the watcher goes on
		return maps.Watch(ctx, o)
	}}
	watcher, err := watchtools.NewRetryWatcherWithContext(ctx, list.ResourceVersion, lw)
	if err != nil {
		return err
	}
	defer watcher.Stop()
	for n := 0; n < 4; n++ {
		name := fmt.Sprintf("lasting-%d", n)
		if err := w.configMap(ctx, name, nil, nil); err != nil {
			return err
		}
		event, ok := <-watcher.ResultChan()
		if !ok {
			return fmt.Errorf("the watcher ended")
		}
		object, err := meta.Accessor(event.Object)
		if err != nil {
			return err
		}
		if event.Type != watch.Added || object.GetName() != name {
			return fmt.Errorf("%s %s instead of %s", event.Type, object.GetName(), name)
		}
		time.Sleep(500 * time.Millisecond)
	}
	return nil
}

func untilWithSync(ctx context.Context, w *world) error {
	lw := cache.NewListWatchFromClient(w.client.CoreV1().RESTClient(), "configmaps", w.namespace, fields.OneTermEqualSelector("metadata.name", "awaited"))
	go func() {
		time.Sleep(300 * time.Millisecond)
		_ = w.configMap(ctx, "awaited", nil, map[string]string{"ready": "yes"})
	}()
	event, err := watchtools.UntilWithSync(ctx, lw, &corev1.ConfigMap{}, nil, func(event watch.Event) (bool, error) {
		object, ok := event.Object.(*corev1.ConfigMap)
		return ok && object.Data["ready"] == "yes", nil
	})
	if err != nil {
		return err
	}
	return expect(event.Type == watch.Added, "a first event %s", event.Type)
}

func pages(ctx context.Context, w *world) error {
	for n := 0; n < 25; n++ {
		if err := w.configMap(ctx, fmt.Sprintf("page-%02d", n), map[string]string{"page": "yes"}, nil); err != nil {
			return err
		}
	}
	asked := 0
	p := pager.New(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		asked++
		return w.client.CoreV1().ConfigMaps(w.namespace).List(ctx, o)
	})
	p.PageSize = 7
	var names []string
	err := p.EachListItem(ctx, metav1.ListOptions{LabelSelector: "page=yes"}, func(object runtime.Object) error {
		names = append(names, object.(*corev1.ConfigMap).Name)
		return nil
	})
	if err != nil {
		return err
	}
	for n, name := range names {
		if name != fmt.Sprintf("page-%02d", n) {
			return fmt.Errorf("%s at place %d", name, n)
		}
	}
	return expect(len(names) == 25 && asked == 4, "%d objects by %d requests", len(names), asked)
}

func oldPage(ctx context.Context, w *world) error {
	maps := w.client.CoreV1().ConfigMaps(w.namespace)
	first, err := maps.List(ctx, metav1.ListOptions{LabelSelector: "page=yes", Limit: 10})
	if err != nil {
		return err
	}
	if first.Continue == "" || len(first.Items) != 10 {
		return fmt.Errorf("%d objects, continue %q", len(first.Items), first.Continue)
	}
	// What is deleted between two pages is in the second: all pages are of one version.
	if err := maps.Delete(ctx, "page-20", metav1.DeleteOptions{}); err != nil {
		return err
	}
	second, err := maps.List(ctx, metav1.ListOptions{LabelSelector: "page=yes", Limit: 100, Continue: first.Continue})
	if err != nil {
		return err
	}
	return expect(len(second.Items) == 15, "%d objects in the second page", len(second.Items))
}
