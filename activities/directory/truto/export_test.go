package truto

import "time"

// SetSpan makes the span of the rates as short as that of a simulated server.
func (p *Provider) SetSpan(span time.Duration) { p.pacer.span = span }
