//go:build live

package chart

// The program itself with the very options and files of a pod, asked by the program of `helm test` with the very options of its pod.
// Only what a machine without a cluster lacks is put in its place: folders for volumes, loopback for the Service's name.

import (
	"bufio"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

func TestLiveTheServerServesAsThePodSays(t *testing.T) {
	program := os.Getenv("PLIMSOLL_BIN")
	if program == "" {
		program = "../../target/debug/plimsoll"
	}
	served := 0
	for _, values := range cases(t) {
		all := objects(t, render(t, helms[1], values))
		pod := of[*appsv1.Deployment](all)[0].Spec.Template.Spec
		probes := of[*corev1.Pod](all)
		if !complete(pod, all) || len(probes) == 0 {
			continue
		}
		served++
		t.Run(strings.TrimSuffix(filepath.Base(values), ".yaml"), func(t *testing.T) {
			root := t.TempDir()
			mount(t, root, pod, 0, all)
			mount(t, root, probes[0].Spec, 0, all)
			var args []string
			for _, arg := range pod.Containers[0].Args {
				option, value, has := strings.Cut(arg, "=")
				switch {
				case option == "--listen" || option == "--admin-listen" || option == "--pages-listen":
					arg = option + "=127.0.0.1:0"
				case option == "--endpoint-delay":
					arg = option + "=0"
				case option == "--log-format":
					arg = option + "=json"
				case has && strings.HasPrefix(value, "/"):
					arg = option + "=" + root + value
				}
				args = append(args, arg)
			}
			// What `--kubernetes` reads, in place of the API server that a pod finds by itself.
			environment := []string{"KUBECONFIG=" + os.Getenv("KUBECONFIG")}
			for _, variable := range pod.Containers[0].Env {
				value := variable.Value
				if variable.ValueFrom != nil {
					value = "from-elsewhere"
				}
				environment = append(environment, variable.Name+"="+value)
			}
			address := serve(t, program, args, environment)

			var asked []string
			for _, arg := range probes[0].Spec.Containers[0].Args {
				option, value, _ := strings.Cut(arg, "=")
				switch {
				case option == "-addr":
					host, _, err := net.SplitHostPort(value)
					must(t, err)
					arg = "-addr=" + address
					if strings.Contains(strings.Join(args, " "), "--tls-cert") {
						asked = append(asked, "-tls-server-name="+host)
					}
				case strings.HasPrefix(value, "/"):
					arg = option + "=" + root + value
				}
				asked = append(asked, arg)
			}
			if out, err := exec.Command("../../target/chart/grpc-health-probe", asked...).CombinedOutput(); err != nil {
				t.Errorf("%v: %v\n%s", asked, err, out)
			}
			if strings.Contains(strings.Join(args, " "), "--tls-client-ca") {
				stranger := []string{}
				for _, arg := range asked {
					if !strings.HasPrefix(arg, "-tls-client") {
						stranger = append(stranger, arg)
					}
				}
				if out, err := exec.Command("../../target/chart/grpc-health-probe", stranger...).CombinedOutput(); err == nil {
					t.Errorf("who has no certificate is let in: %s", out)
				}
			}
		})
	}
	if served < 15 {
		t.Errorf("only %d servers were started", served)
	}
}

// complete says whether the rendering has every file that the options name: the others are the user's own.
func complete(pod corev1.PodSpec, all []object) bool {
	for _, volume := range pod.Volumes {
		if contents(volume, all) == nil {
			return false
		}
	}
	return true
}

func contents(volume corev1.Volume, all []object) map[string][]byte {
	if volume.ConfigMap != nil {
		for _, one := range of[*corev1.ConfigMap](all) {
			if one.Name == volume.ConfigMap.Name {
				files := map[string][]byte{}
				for name, text := range one.Data {
					files[name] = []byte(text)
				}
				return files
			}
		}
	}
	if volume.Secret != nil {
		for _, one := range of[*corev1.Secret](all) {
			if one.Name == volume.Secret.SecretName {
				return one.Data
			}
		}
	}
	return nil
}

// mount writes the volumes of a container to where it has them.
func mount(t *testing.T, root string, pod corev1.PodSpec, container int, all []object) {
	t.Helper()
	for _, mount := range pod.Containers[container].VolumeMounts {
		folder := filepath.Join(root, mount.MountPath)
		must(t, os.MkdirAll(folder, 0o755))
		for _, volume := range pod.Volumes {
			if volume.Name != mount.Name {
				continue
			}
			for name, text := range contents(volume, all) {
				must(t, os.WriteFile(filepath.Join(folder, name), text, 0o600))
			}
		}
	}
}

// serve starts the server, and says where KEDA would call it.
func serve(t *testing.T, program string, args, environment []string) string {
	t.Helper()
	command := exec.Command(program, args...)
	command.Env = environment
	out, err := command.StdoutPipe()
	must(t, err)
	command.Stderr = command.Stdout
	must(t, command.Start())
	t.Cleanup(func() {
		must(t, command.Process.Signal(os.Interrupt))
		if err := command.Wait(); err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for reader := bufio.NewScanner(out); reader.Scan(); {
			lines <- reader.Text()
		}
	}()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case line, open := <-lines:
			if !open {
				t.Fatalf("%v: it has ended", args)
			}
			var said struct {
				Fields struct{ Message, Grpc string }
			}
			if json.Unmarshal([]byte(line), &said) == nil && said.Fields.Message == "serving" {
				go func() {
					for range lines {
					}
				}()
				return said.Fields.Grpc
			}
			t.Log(line)
		case <-deadline:
			t.Fatal("it does not begin to serve")
		}
	}
}
