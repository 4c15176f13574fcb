package chart

// Least rights: the exact rules of each mode, and what no rule may ever be.

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

// Why each right is there. What is not in this list is not in the chart.
const (
	// Which trigger asks, and whose secrets it may use: KEDA's objects are watched, one list and then its changes.
	watched = "get,list,watch keda.sh/scaledobjects,scaledjobs,triggerauthentications"
	// The objects that belong to no namespace. Only those who have a ClusterRole can be given them.
	watchedOfCluster = "get,list,watch keda.sh/clustertriggerauthentications"
	watchedOfAll     = watched + ",clustertriggerauthentications"
	// `secretTargetRef`, and credentials of stores: one by one, when they are named. Never listed.
	secrets = "get /secrets"
	// `configMapTargetRef`; `env` of a workload that has it from a ConfigMap.
	configMaps = "get /configmaps"
	// The role of a workload's account, by its annotation.
	accounts = "get /serviceaccounts"
	// `env` of a TriggerAuthentication: the container's variables.
	workloads = "get apps/deployments,statefulsets"
	// `boundServiceAccountToken`, Vault's `serviceAccountName`: equal to being that account, so by name only.
	token = "create /serviceaccounts/token"
)

func TestEachModeHasExactlyTheseRights(t *testing.T) {
	const ours = "keda-plimsoll"
	table := map[string]map[string][]string{
		"defaults":   {},
		"own-rights": {},
		"namespaced": {
			"Role shop/" + ours:           {watched, secrets},
			"Role bank/" + ours:           {watched, secrets},
			"Role keda/" + ours + "-keda": {secrets},
			"ClusterRole /" + ours:        {watchedOfCluster},
		},
		"namespaced-all": {
			"Role shop/" + ours:             {watched, secrets + "[kafka redis]", configMaps, accounts, workloads, "get argoproj.io/rollouts"},
			"Role bank/" + ours:             {watched, secrets + "[kafka redis]", configMaps, accounts, workloads, "get argoproj.io/rollouts"},
			"Role keda/" + ours + "-keda":   {secrets + "[kafka-of-all]", configMaps},
			"Role shop/" + ours + "-tokens": {token + "[vault]"},
			"ClusterRole /" + ours:          {watchedOfCluster},
		},
		"namespaced-only": {"Role shop/" + ours: {watched}},
		"namespaced-keda": {
			"Role shop/" + ours:           {watched},
			"Role keda/" + ours + "-keda": {secrets},
		},
		"cluster-keda": {
			"ClusterRole /" + ours:        {watchedOfAll},
			"Role keda/" + ours + "-keda": {secrets},
		},
		"cluster": {"ClusterRole /" + ours: {watchedOfAll, secrets}},
		"cluster-narrow": {
			"ClusterRole /" + ours:          {watchedOfAll, secrets + "[kafka]"},
			"Role keda/" + ours + "-keda":   {secrets + "[kafka-of-all]"},
			"Role shop/" + ours + "-tokens": {token + "[vault web]"},
		},
	}
	for values, wanted := range table {
		got := map[string][]string{}
		all := objects(t, render(t, helms[1], "cases/"+values+".yaml"))
		for _, role := range of[*rbacv1.Role](all) {
			got["Role "+role.Namespace+"/"+role.Name] = shown(role.Rules)
		}
		for _, role := range of[*rbacv1.ClusterRole](all) {
			got["ClusterRole /"+role.Name] = shown(role.Rules)
		}
		if !maps.EqualFunc(got, wanted, slices.Equal) {
			t.Errorf("%s: got %v, wanted %v", values, got, wanted)
		}
	}
}

func shown(rules []rbacv1.PolicyRule) []string {
	var texts []string
	for _, rule := range rules {
		text := strings.Join(rule.Verbs, ",") + " " + strings.Join(rule.APIGroups, ",") + "/" + strings.Join(rule.Resources, ",")
		if len(rule.ResourceNames) > 0 {
			text += fmt.Sprint(rule.ResourceNames)
		}
		texts = append(texts, text)
	}
	return texts
}

func TestNoRuleChangesAnythingOrListsSecrets(t *testing.T) {
	each(t, func(t *testing.T, values string, all []object) {
		var rules []rbacv1.PolicyRule
		for _, role := range of[*rbacv1.Role](all) {
			rules = append(rules, role.Rules...)
		}
		for _, role := range of[*rbacv1.ClusterRole](all) {
			rules = append(rules, role.Rules...)
			for _, rule := range role.Rules {
				if slices.Contains(rule.Resources, "serviceaccounts/token") {
					t.Errorf("a name would be any namespace's: %v", rule)
				}
			}
		}
		for _, rule := range rules {
			for _, verb := range rule.Verbs {
				ours := slices.Equal(rule.APIGroups, []string{"keda.sh"})
				tokens := slices.Equal(rule.Resources, []string{"serviceaccounts/token"}) && len(rule.ResourceNames) > 0
				if !(verb == "get" || ours && (verb == "list" || verb == "watch") || tokens && verb == "create") {
					t.Errorf("%s of %v", verb, rule)
				}
			}
			for _, text := range slices.Concat(rule.APIGroups, rule.Resources, rule.ResourceNames) {
				if strings.Contains(text, "*") {
					t.Errorf("%v is too wide", rule)
				}
			}
		}
	})
}

func TestEveryBindingIsForOurAccountAndARoleThatIsThere(t *testing.T) {
	each(t, func(t *testing.T, values string, all []object) {
		deployment := of[*appsv1.Deployment](all)[0]
		ours := []rbacv1.Subject{{Kind: "ServiceAccount", Name: deployment.Spec.Template.Spec.ServiceAccountName, Namespace: deployment.Namespace}}
		roles, bound := map[string]bool{}, map[string]bool{}
		for _, role := range of[*rbacv1.Role](all) {
			roles[role.Namespace+"/"+role.Name] = true
		}
		for _, role := range of[*rbacv1.ClusterRole](all) {
			roles["/"+role.Name] = true
		}
		for _, binding := range of[*rbacv1.RoleBinding](all) {
			bound[binding.Namespace+"/"+binding.RoleRef.Name] = slices.Equal(binding.Subjects, ours)
		}
		for _, binding := range of[*rbacv1.ClusterRoleBinding](all) {
			bound["/"+binding.RoleRef.Name] = slices.Equal(binding.Subjects, ours)
		}
		if !maps.Equal(roles, bound) {
			t.Errorf("roles %v, bound to %v: %v", roles, ours, bound)
		}
	})
}
