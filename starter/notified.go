package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"jamf-access-review/activities/directory"
	"jamf-access-review/db"
	"jamf-access-review/starter/output"
	"jamf-access-review/worker/service"
	"jamf-access-review/workflows"
)

func newNotifyList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the subscriptions, and how their deliveries go",
		Example: `  starter notify list`,
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.notifyList(cmd.Context()) },
	}
}

func (a *app) notifyList(ctx context.Context) error {
	record, err := a.record(ctx)
	if err != nil {
		return err
	}
	subscriptions, err := record.Subscriptions(ctx)
	if err != nil {
		return err
	}
	if a.format == output.JSON {
		return output.WriteJSON(a.out, views(subscriptions, viewSubscription))
	}
	if len(subscriptions) == 0 {
		a.tell("Nobody is told anything yet. `starter notify add NAME` changes that.")
		return nil
	}
	return output.WriteTable(a.out, []output.Column{output.Col("Subscription", 12), output.Col("Org", 8), output.Col("To", 18), output.Col("Messages", 14), output.Col("Last error", 20)},
		rows(subscriptions, func(s db.Subscription) []string {
			last := "-"
			if s.LastErrorAt != nil {
				last = ago(*s.LastErrorAt) + ": " + s.LastError
			}
			return []string{s.Name, s.Organization, s.Server, told(s), last}
		}))
}

// told is how many messages of a subscription there were.
func told(s db.Subscription) string {
	words := fmt.Sprintf("%d delivered", s.Delivered)
	if s.Pending > 0 {
		words += fmt.Sprintf(", %d pending", s.Pending)
	}
	if s.GivenUp > 0 {
		words += fmt.Sprintf(", %d given up", s.GivenUp)
	}
	return words
}

func newNotifyTest(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "test NAME",
		Short: "Send a test message and say what was answered",
		Long: `Test sends one message, from where the worker runs and as all others are sent,
and waits for what comes of it. It is not tried again.`,
		Example: `  starter notify test slack`,
		Args:    one("the name of one subscription"),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.notifyTest(cmd.Context(), args[0]) },
	}
}

func (a *app) notifyTest(ctx context.Context, name string) error {
	record, err := a.record(ctx)
	if err != nil {
		return err
	}
	t, err := a.temporal(ctx)
	if err != nil {
		return err
	}
	id, err := record.NoticeTest(ctx, name)
	if err != nil {
		return unknownSubscription(err)
	}
	route := db.Route{Subscription: name}
	run, err := service.Deliver(ctx, t, route)
	if err != nil {
		return err
	}
	following := a.follow(ctx, t, workflows.NotifyID(route))
	err = run.Get(ctx, nil)
	following.stop()
	if ctx.Err() != nil {
		return &failure{Code: codeUnexpected, Message: "stopped watching; the message is sent all the same",
			Hint: "`starter notify deliveries " + name + "` shows what becomes of it"}
	}
	if err != nil {
		return err
	}
	delivery, err := record.DeliveryOf(ctx, id)
	if err != nil {
		return err
	}
	if delivery.Outcome != db.NoticeDelivered {
		return &failure{Code: string(directory.Unreachable), Message: "not delivered: " + delivery.Error,
			Hint: "check the webhook's URL, and that this machine's worker may reach it; `starter notify remove` and `add` change the URL"}
	}
	if a.format == output.JSON {
		return output.WriteJSON(a.out, viewDelivery(delivery))
	}
	a.tell("Delivered to %s as message %s.", name, id)
	return nil
}

func newNotifyDeliveries(a *app) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "deliveries NAME",
		Short: "List the messages of a subscription, newest first",
		Long: `A message is pending, delivered, or given_up: it was tried for three days, or
its receiver wants no more. What became of it can be seen for 30 days.`,
		Example: `  starter notify deliveries slack --limit 100`,
		Args:    one("the name of one subscription"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.notifyDeliveries(cmd.Context(), args[0], limit)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "how many to show")
	return cmd
}

func (a *app) notifyDeliveries(ctx context.Context, name string, limit int) error {
	if limit < 1 {
		return usagef("--limit is at least 1")
	}
	record, err := a.record(ctx)
	if err != nil {
		return err
	}
	if _, err := record.Subscription(ctx, name); err != nil {
		return unknownSubscription(err)
	}
	deliveries, err := record.Deliveries(ctx, name, limit)
	if err != nil {
		return err
	}
	if a.format == output.JSON {
		return output.WriteJSON(a.out, views(deliveries, viewDelivery))
	}
	return output.WriteTable(a.out, []output.Column{output.Col("At", 20), output.Col("About", 16), output.Col("Kind", 16), output.Col("Outcome", 9), output.Col("Tries", 5), output.Col("Error", 30)},
		rows(deliveries, func(d db.Delivery) []string {
			return []string{when(&d.CreatedAt), d.Connection, string(d.Kind), string(d.Outcome), fmt.Sprint(d.Attempts), d.Error}
		}))
}

type subscriptionView struct {
	Subscription    string     `json:"subscription"`
	Organization    string     `json:"organization"`
	Server          string     `json:"server"`
	WithFindings    bool       `json:"with_findings"`
	Pending         int        `json:"pending"`
	Delivered       int        `json:"delivered"`
	GivenUp         int        `json:"given_up"`
	LastDeliveredAt *time.Time `json:"last_delivered_at"`
	LastError       string     `json:"last_error"`
	LastErrorAt     *time.Time `json:"last_error_at"`
}

func viewSubscription(s db.Subscription) subscriptionView {
	return subscriptionView{
		Subscription: s.Name, Organization: s.Organization, Server: s.Server, WithFindings: s.WithFindings,
		Pending: s.Pending, Delivered: s.Delivered, GivenUp: s.GivenUp,
		LastDeliveredAt: optionalSeconds(s.LastDeliveredAt), LastError: s.LastError, LastErrorAt: optionalSeconds(s.LastErrorAt),
	}
}

type deliveryView struct {
	ID          string     `json:"id"`
	Kind        string     `json:"kind"`
	Connection  string     `json:"connection"`
	At          time.Time  `json:"at"`
	Outcome     string     `json:"outcome"`
	Attempts    int        `json:"attempts"`
	Error       string     `json:"error"`
	AttemptedAt *time.Time `json:"attempted_at"`
	EndedAt     *time.Time `json:"ended_at"`
}

func viewDelivery(d db.Delivery) deliveryView {
	return deliveryView{
		ID: d.ID, Kind: string(d.Kind), Connection: d.Connection, At: seconds(d.CreatedAt), Outcome: string(d.Outcome),
		Attempts: d.Attempts, Error: d.Error, AttemptedAt: optionalSeconds(d.AttemptedAt), EndedAt: optionalSeconds(d.EndedAt),
	}
}
