package service

import (
	"runtime/debug"

	"go.temporal.io/sdk/worker"
)

// deploymentName is what Temporal shows builds of the worker under.
const deploymentName = "jamf-access-review"

// Build says what this program was built from: a version with the revision in
// it. It is "" where the build does not tell.
func Build() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "(devel)" {
		return ""
	}
	return info.Main.Version
}

// deployment tells Temporal which build a worker is of, for people to see. The
// worker is not versioned: it gets work of every build's workflows. Where the
// build is not known the SDK's own id of the program stands for it.
func deployment() worker.DeploymentOptions {
	build := Build()
	if build == "" {
		return worker.DeploymentOptions{}
	}
	return worker.DeploymentOptions{Version: worker.WorkerDeploymentVersion{DeploymentName: deploymentName, BuildID: build}}
}
