package jamf_test

import (
	"runtime"
	"testing"
	"time"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/jamf/jamftest"
)

func BenchmarkReadAccounts(b *testing.B) {
	bundle := setup(b, jamftest.Config{Latency: 5 * time.Millisecond})
	bundle.server.Demo(2000)
	for b.Loop() {
		readAll(b, bundle.source(b), 2000)
	}
}

func BenchmarkReadClassicAccounts(b *testing.B) {
	bundle := setup(b, jamftest.Config{Latency: 5 * time.Millisecond, Release: new(jamftest.ClassicOnly())})
	bundle.server.Demo(2000)
	for b.Loop() {
		readAll(b, bundle.source(b), 2000)
	}
}

// BenchmarkReadEndUsers includes the making of the answers, which run on the
// same machine.
func BenchmarkReadEndUsers(b *testing.B) {
	bundle := setup(b, jamftest.Config{}).everyone()
	bundle.server.GenerateEndUsers(1_000_000)
	b.ReportAllocs()
	for b.Loop() {
		readAll(b, bundle.source(b), 1_000_000)
	}
}

func readAll(b *testing.B, source directory.Source, atLeast int) {
	users, pages := 0, 0
	var highest uint64
	err := source.Read(b.Context(), "", func(page directory.Page) error {
		users += len(page.Users)
		if pages++; pages%100 == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			highest = max(highest, m.HeapInuse)
		}
		return nil
	})
	if err != nil || users < atLeast {
		b.Fatalf("%d users, %v", users, err)
	}
	b.ReportMetric(float64(highest)/(1<<20), "heap-MB")
}
