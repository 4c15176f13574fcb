//go:build live

package chart

// The chart on a real API server: every rendering is applied, releases live through their whole life, and each mode's rights are
// asked of RBAC itself. No node and no controller runs there, so nothing waits for pods.

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

type cluster struct {
	*kubernetes.Clientset
	resources []metav1.APIResource
}

func connect(t *testing.T) *cluster {
	t.Helper()
	path := os.Getenv("KUBECONFIG")
	if path == "" {
		t.Fatal("there is no KUBECONFIG: tests/cluster/with -- tests/chart/run --live")
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	must(t, err)
	config.QPS, config.Burst, config.WarningHandler = 1000, 1000, rest.NoWarnings{}
	client, err := kubernetes.NewForConfig(config)
	must(t, err)
	_, lists, err := client.ServerGroupsAndResources()
	must(t, err)
	found := &cluster{Clientset: client}
	for _, list := range lists {
		group, version, _ := strings.Cut(list.GroupVersion, "/")
		if version == "" {
			group, version = "", list.GroupVersion
		}
		for _, resource := range list.APIResources {
			if !strings.Contains(resource.Name, "/") {
				resource.Group, resource.Version = group, version
				found.resources = append(found.resources, resource)
			}
		}
	}
	for _, namespace := range []string{"keda", "keda-system", "scaling", "shop", "bank", "monitoring"} {
		found.namespace(t, namespace)
	}
	return found
}

func (cluster *cluster) namespace(t *testing.T, name string) {
	t.Helper()
	wanted := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := cluster.CoreV1().Namespaces().Create(t.Context(), wanted, metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
		must(t, err)
	}
}

// path is where an object is, or with an empty name where its kind is.
func (cluster *cluster) path(t *testing.T, version, kind, namespace, name string) string {
	t.Helper()
	for _, known := range cluster.resources {
		group := strings.TrimPrefix(known.Group+"/"+known.Version, "/")
		if known.Kind != kind || group != version {
			continue
		}
		path := "/apis/" + group
		if known.Group == "" {
			path = "/api/" + group
		}
		if known.Namespaced && namespace != "" {
			path += "/namespaces/" + namespace
		}
		return strings.TrimSuffix(path+"/"+known.Name+"/"+name, "/")
	}
	t.Fatalf("the API server has no %s of %s", kind, version)
	return ""
}

// ofRelease is what there is of a release, wherever it is, but not Helm's own notes of it.
func (cluster *cluster) ofRelease(t *testing.T, name string) []string {
	t.Helper()
	var all []string
	for _, known := range cluster.resources {
		if !slices.Contains(known.Verbs, "list") {
			continue
		}
		path := cluster.path(t, strings.TrimPrefix(known.Group+"/"+known.Version, "/"), known.Kind, "", "")
		raw, err := cluster.RESTClient().Get().AbsPath(path).Param("labelSelector", "app.kubernetes.io/instance="+name).DoRaw(t.Context())
		must(t, err)
		var list metav1.PartialObjectMetadataList
		must(t, json.Unmarshal(raw, &list))
		for _, one := range list.Items {
			all = append(all, fmt.Sprintf("%s %s/%s", known.Kind, one.Namespace, one.Name))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// helmOn is a command of Helm on the cluster that must succeed.
func helmOn(t *testing.T, helm string, args ...string) {
	t.Helper()
	if out, complaint, err := runOn(t, helm, args...); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", helm, strings.Join(args, " "), err, out, complaint)
	}
}

// gone uninstalls a release at the test's end, if it is still there.
func gone(t *testing.T, helm, namespace string) {
	t.Cleanup(func() { helmOn(t, helm, "uninstall", release, "--namespace", namespace, "--ignore-not-found") })
}

func runOn(t *testing.T, helm string, args ...string) (string, string, error) {
	t.Helper()
	return runIn(t, os.Getenv("KUBECONFIG"), helm, args...)
}

func TestLiveEveryRenderingIsTakenByTheServer(t *testing.T) {
	cluster := connect(t)
	for _, values := range cases(t) {
		taken := 0
		for document := range strings.SplitSeq("\n"+render(t, helms[1], values), "\n---\n") {
			if strings.TrimSpace(withoutComments(document)) == "" {
				continue
			}
			var object metav1.PartialObjectMetadata
			must(t, yaml.Unmarshal([]byte(document), &object))
			path := cluster.path(t, object.APIVersion, object.Kind, object.Namespace, object.Name)
			_, err := cluster.RESTClient().Patch(types.ApplyPatchType).AbsPath(path).Body([]byte(document)).
				Param("dryRun", "All").Param("fieldValidation", "Strict").Param("fieldManager", "test").Param("force", "true").DoRaw(t.Context())
			if err != nil {
				t.Errorf("%s: %s %s: %v", values, object.Kind, object.Name, err)
			}
			taken++
		}
		if taken < 3 {
			t.Errorf("%s: only %d objects were found", values, taken)
		}
	}
}

// Both sides of each mode: what our account may do, and what it may not.
func TestLiveEachModeGivesItsRightsAndNoOthers(t *testing.T) {
	cluster := connect(t)
	// `verb group/resource namespace name`; a namespace `-` is all.
	table := map[string]struct{ may, mayNot []string }{
		"defaults": {nil, []string{"list keda.sh/scaledobjects shop", "get /secrets shop kafka", "get /secrets keda kafka", "list keda.sh/clustertriggerauthentications -"}},
		"namespaced": {
			[]string{"watch keda.sh/scaledobjects shop", "list keda.sh/triggerauthentications bank", "get /secrets shop kafka", "get /secrets keda kafka", "watch keda.sh/clustertriggerauthentications -"},
			[]string{"list keda.sh/scaledobjects -", "get /secrets scaling kafka", "list /secrets shop", "watch /secrets shop", "get /configmaps shop a", "create /serviceaccounts/token shop vault", "update keda.sh/scaledobjects shop a", "get apps/deployments shop a"},
		},
		"namespaced-all": {
			[]string{"get /secrets shop kafka", "get /secrets keda kafka-of-all", "get /configmaps bank a", "get /serviceaccounts shop a", "get apps/statefulsets shop a", "create /serviceaccounts/token shop vault", "get argoproj.io/rollouts shop a"},
			[]string{"get /secrets shop other", "get /secrets keda kafka", "create /serviceaccounts/token shop other", "create /serviceaccounts/token bank vault", "list /configmaps shop", "list apps/deployments shop"},
		},
		"namespaced-only": {
			[]string{"watch keda.sh/scaledjobs shop"},
			[]string{"get /secrets shop kafka", "get /secrets keda kafka", "get keda.sh/clustertriggerauthentications - a"},
		},
		"cluster": {
			[]string{"watch keda.sh/scaledobjects -", "get /secrets scaling kafka", "list keda.sh/clustertriggerauthentications -"},
			[]string{"list /secrets -", "watch /secrets shop", "get /configmaps shop a", "create /serviceaccounts/token shop vault", "delete keda.sh/scaledobjects shop a"},
		},
		"namespaced-keda": {[]string{"watch keda.sh/scaledobjects shop", "get /secrets keda kafka"}, []string{"get /secrets shop kafka"}},
		"cluster-keda":    {[]string{"watch keda.sh/scaledobjects -", "get /secrets keda kafka"}, []string{"get /secrets shop kafka"}},
		"cluster-narrow": {
			[]string{"get /secrets scaling kafka", "get /secrets keda kafka-of-all", "create /serviceaccounts/token shop web"},
			[]string{"get /secrets shop other", "get /secrets shop kafka-of-all", "create /serviceaccounts/token bank web"},
		},
	}
	asked := func(text string) bool {
		words := append(strings.Fields(text), "")
		group, resource, _ := strings.Cut(words[1], "/")
		resource, subresource, _ := strings.Cut(resource, "/")
		review, err := cluster.AuthorizationV1().SubjectAccessReviews().Create(context.Background(), &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{
				User: "system:serviceaccount:keda:plimsoll", Groups: []string{"system:serviceaccounts", "system:authenticated"},
				ResourceAttributes: &authorizationv1.ResourceAttributes{
					Verb: words[0], Group: group, Resource: resource, Subresource: subresource, Namespace: strings.TrimPrefix(words[2], "-"), Name: words[3],
				},
			}}, metav1.CreateOptions{})
		must(t, err)
		return review.Status.Allowed
	}
	gone(t, helms[1], "keda")
	for _, values := range slices.Sorted(maps.Keys(table)) {
		helmOn(t, helms[1], "install", release, chart, "--namespace", "keda", "-f", "cases/"+values+".yaml")
		for _, text := range table[values].may {
			if !asked(text) {
				t.Errorf("%s: may not %s", values, text)
			}
		}
		for _, text := range table[values].mayNot {
			if asked(text) {
				t.Errorf("%s: may %s", values, text)
			}
		}
		helmOn(t, helms[1], "uninstall", release, "--namespace", "keda")
	}
}
