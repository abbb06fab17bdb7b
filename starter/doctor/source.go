package doctor

import (
	"cmp"
	"context"
	"crypto/x509"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"jamf-access-review/activities"
	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/httpclient"
	"jamf-access-review/activities/directory/jamf"
	"jamf-access-review/activities/directory/truto"
	"jamf-access-review/db"
)

// Names of the checks of a connection's source.
const (
	checkDNS         = "dns"
	checkTLS         = "tls"
	checkSourceClock = "source_clock"
	checkURL         = "url"
	checkToken       = "token"
	checkVersion     = "version"
	checkPrivilege   = "privilege"
)

var sourceChecks = []string{checkDNS, checkTLS, checkSourceClock, checkURL, checkToken, checkVersion, checkPrivilege}

const (
	// certificateWarning is how long before a certificate's end that is worth a
	// word.
	certificateWarning = 21 * 24 * time.Hour
	// asSeen ends what is true of this machine and need not be of a worker's.
	asSeen = ", as seen from this machine"
)

func (e *examination) examineSource(ctx context.Context) {
	base, err := url.Parse(e.connection.BaseURL)
	if err != nil || base.Hostname() == "" {
		e.fail(checkDNS, unexpected, "disconnect it with --erase and connect it again", "its address on record cannot be read")
		e.skip(checkDNS, sourceChecks[1:]...)
		return
	}
	if e.examineDNS(ctx, base) && e.examineServer(ctx, base) {
		e.examineAccess(ctx)
	}
}

// examineDNS reports whether there is an address to go on with.
func (e *examination) examineDNS(ctx context.Context, base *url.URL) bool {
	if proxy := httpclient.Proxy(base); proxy != "" {
		e.ok(checkDNS, "left to the proxy %s, which HTTPS_PROXY names", proxy)
		return true
	}
	if _, err := netip.ParseAddr(base.Hostname()); err == nil {
		e.ok(checkDNS, "%s is an address, and no name to look up", base.Hostname())
		return true
	}
	addresses, err := httpclient.Resolve(ctx, base)
	if err != nil {
		e.failWith(checkDNS, err, "is the name right, and does this machine's DNS know it? `starter disconnect --erase` and `connect` give a connection another address")
		e.skip(checkDNS, sourceChecks[1:]...)
		return false
	}
	var found []string
	for _, a := range addresses {
		found = append(found, a.String())
	}
	e.ok(checkDNS, "%s is %s%s", base.Hostname(), strings.Join(atMost(found, 4), ", "), asSeen)
	return true
}

// examineServer looks at what answers at the address, and reports whether
// there is anything to ask.
func (e *examination) examineServer(ctx context.Context, base *url.URL) bool {
	sight, err := httpclient.Look(ctx, base)
	switch {
	case err != nil && sight.Certificate != nil:
		e.failWith(checkTLS, err, "put a certificate on the server that is valid for "+base.Hostname()+" and signed by an authority that workers trust; this one "+described(sight.Certificate))
		e.skip(checkTLS, sourceChecks[2:]...)
		return false
	case err != nil:
		e.skip(checkURL, checkTLS, checkSourceClock)
		e.failWith(checkURL, err, "open it in a browser; may this machine, and each worker, reach it?")
		e.skip(checkURL, checkToken, checkVersion, checkPrivilege)
		return false
	}
	e.examineCertificate(sight.Certificate)
	if sight.Clock.IsZero() {
		e.ok(checkSourceClock, "the server does not tell its time")
	} else {
		// It is told in whole seconds.
		e.examineClock(checkSourceClock, "the server", time.Until(sight.Clock.Add(time.Second/2)))
	}
	return true
}

func (e *examination) examineCertificate(certificate *x509.Certificate) {
	switch {
	case certificate == nil:
		e.ok(checkTLS, "no TLS, and none needed on this machine")
	case time.Until(certificate.NotAfter) < certificateWarning:
		e.warn(checkTLS, "renew the server's certificate; once it has ended, nothing is read", "the certificate %s", described(certificate))
	default:
		e.ok(checkTLS, "the certificate %s%s", described(certificate), asSeen)
	}
}

func described(certificate *x509.Certificate) string {
	return "is valid until " + certificate.NotAfter.UTC().Format(time.RFC3339) + " and issued by " + cmp.Or(certificate.Issuer.CommonName, "an unnamed authority")
}

// examineAccess shows the credentials to the source.
func (e *examination) examineAccess(ctx context.Context) {
	c := e.connection
	if c.State == db.Disconnected {
		e.skip(checkConnection, sourceChecks[3:]...)
		return
	}
	if e.keyset == nil {
		e.skip(checkKeyset, sourceChecks[3:]...)
		return
	}
	if slices.Contains(e.unopened, c.Name) {
		e.skip(checkCredentials, sourceChecks[3:]...)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*stepTimeout)
	defer cancel()
	// What does not answer at once is told rather than waited for.
	once := httpclient.Config{MaxTries: 1, Timeout: stepTimeout}
	providers := map[string]directory.Provider{
		directory.JamfPro: jamf.NewProvider(once),
		directory.Truto:   truto.NewProvider(once),
	}
	report, err := activities.TryCredentials(ctx, e.record, providers, c)
	e.judge(report, err)
}

// judge tells by which error came which steps had gone well.
func (e *examination) judge(report directory.Report, err error) {
	failed := directory.AsError(err)
	var code directory.Code
	if failed != nil {
		code = failed.Code.General()
	}
	switch {
	case err != nil && failed == nil:
		e.failWith(checkURL, err, "see the lines above; try again")
		e.skip(checkURL, checkToken, checkVersion, checkPrivilege)
		return
	case code == directory.Busy:
		e.warn(checkURL, "nothing: syncs wait for it", "it is busy: %s", failed.Message)
		e.skip(checkURL, checkToken, checkVersion, checkPrivilege)
		return
	case failed != nil && code != directory.CredentialsRejected && code != directory.MissingPrivilege:
		e.failWith(checkURL, err, "")
		e.skip(checkURL, checkToken, checkVersion, checkPrivilege)
		return
	}
	e.ok(checkURL, "%s answers as it should%s", e.connection.BaseURL, asSeen)
	if code == directory.CredentialsRejected {
		e.failWith(checkToken, err, e.reconnect("; is the client enabled in Jamf Pro, and has it a role?"))
		e.skip(checkToken, checkVersion, checkPrivilege)
		return
	}
	e.ok(checkToken, "the credentials are accepted")
	if report.Version == "" {
		e.ok(checkVersion, "not told by this source")
	} else {
		e.ok(checkVersion, "%s", report.Version)
	}
	e.examinePrivileges(report.Limitations, failed)
}

// reconnect is the remedy for credentials that a Jamf Pro rejected. What Truto
// says of them has a remedy for each of its codes.
func (e *examination) reconnect(more string) string {
	if e.connection.Source != directory.JamfPro {
		return ""
	}
	return "`starter reconnect " + e.connection.Name + "` with new credentials" + more
}

// examinePrivileges has a line for each privilege. The lack of one without
// which nothing is read hides whether those after it are held.
func (e *examination) examinePrivileges(missing []directory.Limitation, failed *directory.Error) {
	const add = "add it to the API role in Jamf Pro under Settings > API roles and clients"
	if e.connection.Source != directory.JamfPro {
		if failed != nil {
			e.failWith(checkPrivilege, failed, "")
		} else {
			e.ok(checkPrivilege, "the source tells what is missing when a sync reads it, and not before")
		}
		return
	}
	hidden := false
	for _, p := range jamf.Privileges(e.connection.Scope) {
		unread := slices.IndexFunc(missing, func(l directory.Limitation) bool { return l.Lost == p.Lost })
		switch {
		case hidden:
			e.checks = append(e.checks, Check{Name: checkPrivilege, State: Skipped,
				Message: p.Privilege + " is not looked at, for want of " + failed.Privilege, Remedy: "mend that first"})
		case failed != nil && failed.Privilege == p.Privilege:
			e.fail(checkPrivilege, string(failed.Code), add, "%s is missing: nothing is read without it", p.Privilege)
			hidden = true
		case unread >= 0 && missing[unread].Privilege == "":
			e.warn(checkPrivilege, "look at what is between this machine and Jamf Pro", "%s shows nothing; not read: %s", p.Privilege, missing[unread])
		case unread >= 0:
			e.warn(checkPrivilege, add, "%s is missing; not read: %s", p.Privilege, p.Lost)
		default:
			e.ok(checkPrivilege, "%s is held", p.Privilege)
		}
	}
}
