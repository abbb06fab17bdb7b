package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// checkRules parses the alert rules as Prometheus does. Each has to say what
// happened and what to do.
func checkRules(file string) error {
	promql := parser.NewParser(parser.Options{})
	groups, errs := rulefmt.ParseFile(file, false, model.LegacyValidation, promql, slog.Default())
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	var problems []error
	alerts := 0
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			alerts++
			for _, annotation := range []string{"summary", "description"} {
				if rule.Annotations[annotation] == "" {
					problems = append(problems, fmt.Errorf("%s: %s has no %s", file, rule.Alert, annotation))
				}
			}
			if err := checkExpr(promql, rule.Expr); err != nil {
				problems = append(problems, fmt.Errorf("%s: %s: %w", file, rule.Alert, err))
			}
		}
	}
	if len(problems) == 0 {
		fmt.Printf("%s: %d alerts\n", file, alerts)
	}
	return errors.Join(problems...)
}

// interval stands in expressions where Grafana puts a duration.
var interval = regexp.MustCompile(`\$__rate_interval`)

// checkDashboard parses what the dashboard asks Prometheus for.
func checkDashboard(file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var dashboard struct {
		Panels []struct {
			Title   string `json:"title"`
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal(content, &dashboard); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	promql := parser.NewParser(parser.Options{})
	var problems []error
	for _, panel := range dashboard.Panels {
		if len(panel.Targets) == 0 {
			problems = append(problems, fmt.Errorf("%s: %s shows nothing", file, panel.Title))
		}
		for _, target := range panel.Targets {
			if err := checkExpr(promql, interval.ReplaceAllString(target.Expr, "5m")); err != nil {
				problems = append(problems, fmt.Errorf("%s: %s: %w", file, panel.Title, err))
			}
		}
	}
	if len(problems) == 0 {
		fmt.Printf("%s: %d panels\n", file, len(dashboard.Panels))
	}
	return errors.Join(problems...)
}

// exported are the metrics whose names the tests of the worker look for on its
// page.
var exported = regexp.MustCompile(`^(jamf_access|temporal)_`)

func checkExpr(promql parser.Parser, text string) error {
	expr, err := promql.ParseExpr(text)
	if err != nil {
		return err
	}
	var problems []error
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok && !exported.MatchString(selector.Name) {
			problems = append(problems, fmt.Errorf("%q is not a metric of the worker's own", selector.Name))
		}
		return nil
	})
	return errors.Join(problems...)
}
