package jamf

// order is what is known of the order of a list's ids. A server may sort them
// by value, as text, or not at all.
type order struct {
	Last       string `json:"last,omitempty"`
	NotByValue bool   `json:"not_by_value,omitempty"`
	NotByText  bool   `json:"not_by_text,omitempty"`
}

// follows reports whether rows can come after what came before. It says no
// only where the server sorts by id and a page starts at or before the end of
// the last one.
func follows[T row](o *order, rows []T) bool {
	if len(rows) == 0 {
		return true
	}
	before, first := o.Last, string(rows[0].key())
	o.Last = string(rows[len(rows)-1].key())
	for i := range rows {
		id := string(rows[i].key())
		if !isNumeric(id) {
			o.NotByValue = true
		}
		if i == 0 {
			continue
		}
		previous := string(rows[i-1].key())
		o.NotByValue = o.NotByValue || compareIDs(previous, id) >= 0
		o.NotByText = o.NotByText || previous >= id
	}
	if before == "" || o.NotByValue || compareIDs(before, first) < 0 {
		return true
	}
	return !o.NotByText && before < first
}
