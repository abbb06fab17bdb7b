// Deploycheck reads docker-compose.yml and worker/Dockerfile as the engine's
// own libraries do, and the alert rules and the dashboard as Prometheus does,
// and holds them to what this project promises of them.
//
// What it cannot see without an engine: whether the images exist, the build,
// and anything that happens once a container runs.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: deploycheck FOLDER")
		os.Exit(2)
	}
	if err := check(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(dir string) error {
	deploy := filepath.Join(dir, "worker", "deploy")
	return errors.Join(
		checkCompose(filepath.Join(dir, "docker-compose.yml")),
		checkDockerfile(filepath.Join(dir, "worker", "Dockerfile")),
		checkRules(filepath.Join(deploy, "prometheus-rules.yaml")),
		checkDashboard(filepath.Join(deploy, "grafana-dashboard.json")),
	)
}

// checkCompose loads the file strictly: against the schema, with anchors,
// references and profiles resolved.
func checkCompose(file string) error {
	options, err := cli.NewProjectOptions([]string{file}, cli.WithProfiles([]string{"*"}))
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(project.Services)) {
		for _, problem := range checkService(project, project.Services[name]) {
			problems = append(problems, fmt.Errorf("%s: service %s: %s", file, name, problem))
		}
	}
	if len(problems) == 0 {
		fmt.Printf("%s: %d services\n", file, len(project.Services))
	}
	return errors.Join(problems...)
}

func checkService(project *types.Project, s types.ServiceConfig) []string {
	var problems []string
	problem := func(format string, a ...any) { problems = append(problems, fmt.Sprintf(format, a...)) }

	if s.Build == nil {
		if _, tag, found := strings.Cut(s.Image, ":"); !found || !strings.Contains(tag, ".") {
			problem("image %q is not pinned to a version", s.Image)
		}
	}
	for _, port := range s.Ports {
		if port.HostIP != "127.0.0.1" {
			problem("port %s is published outside loopback", port.Published)
		}
	}
	for name, value := range s.Environment {
		if value != nil && strings.HasSuffix(name, "PASSWORD") {
			problem("%s would show a password in docker inspect", name)
		}
	}
	for _, volume := range s.Volumes {
		if volume.Type != types.VolumeTypeBind || strings.Contains(volume.Source, "/deploy/secrets") {
			continue
		}
		if _, err := os.Stat(volume.Source); err != nil {
			problem("mounts what is not there: %v", err)
		}
	}
	if !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
		problem("keeps capabilities or may gain them")
	}
	outward := func(network string) bool { return !project.Networks[network].Internal }
	if asks := s.Name == "worker" || s.Name == "starter"; asks && !slices.ContainsFunc(slices.Collect(maps.Keys(s.Networks)), outward) {
		problem("reaches no source: all of its networks are internal")
	}
	for name, dependency := range s.DependsOn {
		target := project.Services[name]
		stays := target.Restart == types.RestartPolicyUnlessStopped
		switch {
		case stays && dependency.Condition != types.ServiceConditionHealthy:
			problem("does not wait until %s is healthy", name)
		case stays && target.HealthCheck == nil:
			problem("waits for %s, which has no health check", name)
		case !stays && dependency.Condition != types.ServiceConditionCompletedSuccessfully:
			problem("does not wait until %s has ended", name)
		}
	}
	return problems
}

// checkDockerfile parses the file, with every warning of the engine's linter
// an error, and checks that what it copies is there.
func checkDockerfile(file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	tree, err := parser.Parse(bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	var problems []error
	rules := linter.New(&linter.Config{Warn: func(rule, _, _, message string, at []parser.Range) {
		line := 0
		if len(at) > 0 {
			line = at[0].Start.Line
		}
		problems = append(problems, fmt.Errorf("%s:%d: %s: %s", file, line, rule, message))
	}})
	stages, _, err := instructions.Parse(tree.AST, rules)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	context := filepath.Dir(filepath.Dir(file))
	for _, stage := range stages {
		for _, command := range stage.Commands {
			copied, ok := command.(*instructions.CopyCommand)
			if !ok || copied.From != "" {
				continue
			}
			for _, source := range copied.SourcePaths {
				if _, err := os.Stat(filepath.Join(context, source)); err != nil {
					problems = append(problems, fmt.Errorf("%s: copies what is not there: %w", file, err))
				}
			}
		}
	}
	if last := stages[len(stages)-1]; !runsAsUser(last) {
		problems = append(problems, fmt.Errorf("%s: the image runs as root", file))
	}
	if len(problems) == 0 {
		fmt.Printf("%s: %d stages\n", file, len(stages))
	}
	return errors.Join(problems...)
}

func runsAsUser(stage instructions.Stage) bool {
	user := "0"
	for _, command := range stage.Commands {
		if c, ok := command.(*instructions.UserCommand); ok {
			user, _, _ = strings.Cut(c.User, ":")
		}
	}
	return user != "0" && user != "root"
}
