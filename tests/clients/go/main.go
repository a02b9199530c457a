// SPDX-License-Identifier: Apache-2.0

// A program of client-go that does what controllers and operators do, to run against any API server: skiff's and a real one.
// It prints a line "PASS name" or "FAIL name: why" for each check and ends with 1 when one failed.
//
//	clients [-namespace NAME] [-only PREFIX] KUBECONFIG
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

// world is what every check works with.
type world struct {
	config    *rest.Config
	client    kubernetes.Interface
	dynamic   dynamic.Interface
	namespace string
	seen      *recorder
}

// recorder remembers the queries of all requests, so that a check can tell how the library asked.
type recorder struct {
	mutex   sync.Mutex
	queries []string
	next    http.RoundTripper
}

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	r.mutex.Lock()
	text, _ := url.QueryUnescape(request.URL.RequestURI())
	r.queries = append(r.queries, request.Method+" "+text)
	r.mutex.Unlock()
	return r.next.RoundTrip(request)
}

func (r *recorder) count(parts ...string) int {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	n := 0
	for _, query := range r.queries {
		all := true
		for _, part := range parts {
			all = all && strings.Contains(query, part)
		}
		if all {
			n++
		}
	}
	return n
}

type check struct {
	name string
	run  func(ctx context.Context, w *world) error
}

func main() {
	namespace := flag.String("namespace", "clients-go", "where the objects are made")
	only := flag.String("only", "", "checks whose name begins so")
	flag.Parse()
	klog.SetOutput(os.Stderr)
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: clients [-namespace NAME] [-only PREFIX] KUBECONFIG")
		os.Exit(2)
	}
	w, err := connect(flag.Arg(0), *namespace)
	if err != nil {
		fmt.Println("FAIL connect:", err)
		os.Exit(1)
	}
	failed := false
	checks := append(append(append([]check{}, informerChecks...), writeChecks...), apiChecks...)
	for _, c := range append(checks, operatorChecks...) {
		if !strings.HasPrefix(c.name, *only) {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
		started := time.Now()
		if err := c.run(ctx, w); err != nil {
			failed = true
			fmt.Printf("FAIL %s: %s\n", c.name, strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Println("PASS", c.name)
		}
		fmt.Fprintf(os.Stderr, "%s took %s\n", c.name, time.Since(started).Round(time.Millisecond))
		cancel()
	}
	_ = w.client.CoreV1().Namespaces().Delete(context.Background(), w.namespace, metav1.DeleteOptions{})
	if failed {
		os.Exit(1)
	}
}

func connect(kubeconfig, namespace string) (*world, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 500, 1000
	seen := &recorder{}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		seen.next = next
		return seen
	})
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	dyn, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	w := &world{config: config, client: client, dynamic: dyn, namespace: namespace, seen: seen}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	// One that ends from a run before goes first.
	return w, wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
		_, err := client.CoreV1().Namespaces().Create(ctx, object, metav1.CreateOptions{})
		return err == nil, nil
	})
}

// eventually waits until what is asked is so.
func eventually(ctx context.Context, what string, ask func() bool) error {
	err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
		return ask(), nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func expect(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

func (w *world) configMap(ctx context.Context, name string, labels, data map[string]string) error {
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Data: data}
	_, err := w.client.CoreV1().ConfigMaps(w.namespace).Create(ctx, object, metav1.CreateOptions{})
	return err
}
