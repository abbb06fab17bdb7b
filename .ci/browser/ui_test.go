package browser

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

const needAPerson = `WorkflowType = 'AccessSync' AND ExecutionStatus = 'Running' AND (JamfConnectionState = 'needs_reconnect' OR JamfSyncOutcome = 'held' OR JamfMonitorState = 'failing')`

func TestTheUITellsHowConnectionsAre(t *testing.T) {
	browser := openBrowser(t)
	well, rejected, held, busy := connect(t, "well"), connect(t, "rejected"), connect(t, "held"), connect(t, "busy")
	well.run(0, "resync", well.name)
	rejected.jamf.RotateSecret("client")
	rejected.jamf.RevokeTokens()
	rejected.run(3, "resync", rejected.name)
	for _, a := range held.jamf.Accounts()[1:8] {
		held.jamf.RemoveAccount(a.ID)
	}
	held.run(8, "resync", held.name)
	goOn := busy.stall()
	defer goOn()
	busy.run(0, "resync", busy.name, "--no-wait")

	t.Run("the list of those who need a person", func(t *testing.T) {
		p := browser.open(t, "list", "/namespaces/default/workflows?query="+url.QueryEscape(needAPerson))
		p.shows("access-sync/rejected", "access-sync/held")
		p.lacks("access-sync/well")
	})
	t.Run("a healthy connection", func(t *testing.T) {
		p := browser.open(t, "well", runPage(well))
		p.shows("until the next sync")
		p.follow("User Metadata")
		p.shows("active since", "Next sync:", "Last sync:", "applied",
			"11 accounts", "JAMF_ACCESS_REMOVED_ON_EXIT", "not_evaluable", "Send the signal resync")
		p.lacks("What to do:", "example.com")
	})
	t.Run("one that needs reconnecting", func(t *testing.T) {
		p := browser.open(t, "rejected", runPage(rejected))
		p.follow("User Metadata")
		p.shows("needs_reconnect since", "What to do:", "starter reconnect rejected")
	})
	t.Run("one whose sync is held", func(t *testing.T) {
		p := browser.open(t, "held", runPage(held))
		p.follow("User Metadata")
		p.shows("it would remove, deactivate or replace 7 of 11 accounts", "What to do:", "starter resync held --accept-removals")
	})
	t.Run("a run in flight", func(t *testing.T) {
		p := browser.open(t, "busy", runPage(busy))
		p.shows("read the directory page by page")
		p.follow("User Metadata")
		p.shows("syncing (resync)")
	})
	t.Run("its form for signals", func(t *testing.T) {
		asked := connect(t, "asked")
		p := browser.open(t, "signal", runPage(asked))
		p.shows("until the next sync")
		p.press("button", "More Actions")
		p.press("[role=menuitem]", "Send a Signal")
		p.press("[data-testid=signal-select-button]", "")
		p.shows("Sync now. Needs no input")
		p.press("#signal-confirmation-modal [role=option]", "resync")
		p.press("#signal-confirmation-modal [data-testid=confirm-modal-button]", "Submit")
		p.shows("Continued as New")
		p = browser.open(t, "signalled", runPage(asked))
		p.follow("User Metadata")
		p.shows("Last sync: number 2 (resync), applied")
	})
	t.Run("the history of syncs", func(t *testing.T) {
		p := browser.open(t, "runs", "/namespaces/default/workflows?query="+url.QueryEscape("JamfConnection = 'well'"))
		p.shows("access-sync/well", "connect-jamf/well", "Continued as New", "Running")
	})
}

func runPage(c *connection) string {
	return "/namespaces/default/workflows/" + url.PathEscape("access-sync/"+c.name)
}

// patience is how long a page may take to show something on a busy machine.
const patience = 30 * time.Second

type browser struct{ ctx context.Context }

func openBrowser(t *testing.T) browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.WindowSize(1400, 1800))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Do(ctx), "install Chromium: apt-get install chromium")
	return browser{ctx}
}

type page struct {
	t    *testing.T
	ctx  context.Context
	name string
}

func (b browser) open(t *testing.T, name, path string) page {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(running.UIAddress+path)))
	p := page{t, ctx, name}
	t.Cleanup(p.keep)
	return p
}

// allText is the text of a page and of its frames: what is Markdown is shown in
// frames.
const allText = `[document.body, ...[...document.querySelectorAll('iframe')].map(f => f.contentDocument?.body)].map(b => b?.innerText).join('\n')`

// shows waits until the page shows all texts.
func (p page) shows(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		_, err := chromedp.Run(p.ctx, chromedp.PollFunction[bool](`text => (`+allText+`).includes(text)`,
			chromedp.WithPollingArgs(text), chromedp.WithPollingInterval(100*time.Millisecond), chromedp.WithPollingTimeout(patience)))
		if err != nil {
			require.Contains(p.t, p.text(), text)
		}
	}
}

// follow follows the link of a text.
func (p page) follow(link string) {
	p.t.Helper()
	p.press("a", link)
}

// press clicks the first element, of those that a selector finds, whose text
// begins so and that can be seen, once there is one.
func (p page) press(selector, text string) {
	p.t.Helper()
	const click = `(selector, text) => [...document.querySelectorAll(selector)].some(e =>
		e.innerText.trim().startsWith(text ?? '') && e.checkVisibility() && (e.click(), true))`
	_, err := chromedp.Run(p.ctx, chromedp.PollFunction[bool](click,
		chromedp.WithPollingArgs(selector, text), chromedp.WithPollingInterval(100*time.Millisecond), chromedp.WithPollingTimeout(patience)))
	require.NoError(p.t, err, "press %s %q", selector, text)
}

// lacks is for what a page does not show once it shows what it should.
func (p page) lacks(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		require.NotContains(p.t, p.text(), text)
	}
}

func (p page) text() string {
	text, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](allText))
	require.NoError(p.t, err)
	return text
}

func (p page) keep() {
	folder := os.Getenv("PICTURES")
	if folder == "" {
		return
	}
	picture, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
	require.NoError(p.t, err)
	require.NoError(p.t, os.WriteFile(filepath.Join(folder, p.name+".png"), picture, 0o644))
}
