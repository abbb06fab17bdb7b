package jamf

import (
	"context"
	"net/url"
	"strconv"
)

// maxListed bounds the lists that are kept in memory.
const maxListed = 100_000

func atMost(n int, what string) error {
	if n > maxListed {
		return inconsistent("more than %d %s are more than any Jamf Pro has", maxListed, what)
	}
	return nil
}

// row is an entry with an id.
type row interface{ key() text }

// listing is a page of the newer API.
type listing[T row] struct {
	Total   *int `json:"totalCount"`
	Results []T  `json:"results"`
}

// readPages reads the list at ep from at on and yields it page by page, in
// order, fetching ahead. at is moved on before each yield. A page that is not
// what its place in the list asks for makes the list inconsistent: it changed
// while it was read, or it is not the whole list.
func readPages[T row](ctx context.Context, s *source, ep endpoint, at *progress, yield func([]T) error) error {
	take := func(page listing[T]) error {
		if err := at.check(ep, page.Total, len(page.Results)); err != nil {
			return err
		}
		for _, row := range page.Results {
			if !validID(row.key()) {
				return inconsistent("%s lists an entry without a usable id", ep.path)
			}
		}
		if !follows(&at.Order, page.Results) {
			return inconsistent("%s repeats entries: it changed while it was read", ep.path)
		}
		at.Done += len(page.Results)
		if n := len(page.Results); n > 0 && ep != usersEndpoint {
			at.Ends = append(at.Ends, string(page.Results[n-1].key()))
		}
		return yield(page.Results)
	}
	if at.Total == nil {
		first, err := fetchPage[T](ctx, s, ep, 0, at.Size)
		if err != nil {
			return err
		}
		if first.Total == nil {
			return readUntold(ctx, s, ep, at, first, take)
		}
		at.Total = first.Total
		if err := take(first); err != nil {
			return err
		}
	}
	if at.Done == *at.Total {
		return settled[T](ctx, s, ep, at)
	}
	next := at.Done / at.Size
	pages := (*at.Total-1)/at.Size + 1 // which no total can make overflow
	if err := inOrder(ctx, pages-next, s.parallel, func(ctx context.Context, i int) (listing[T], error) {
		return fetchPage[T](ctx, s, ep, next+i, at.Size)
	}, take); err != nil {
		return err
	}
	return settled[T](ctx, s, ep, at)
}

// readList reads a list whole, to keep it in memory. Where an entry comes twice
// another has not come at all.
func readList[T row](ctx context.Context, s *source, ep endpoint, what string) ([]T, error) {
	var list []T
	seen := map[text]bool{}
	err := readPages(ctx, s, ep, &progress{Size: s.pageSize}, func(rows []T) error {
		for _, row := range rows {
			if seen[row.key()] {
				return inconsistent("%s repeats entries: it changed while it was read", ep.path)
			}
			seen[row.key()] = true
		}
		list = append(list, rows...)
		return atMost(len(list), what)
	})
	return list, err
}

// readUntold reads a list without a total, of which it is given the first page,
// until a page is not full. A server without a total may know no pages either,
// and answer everything each time.
func readUntold[T row](ctx context.Context, s *source, ep endpoint, at *progress, page listing[T], take func(listing[T]) error) error {
	if len(page.Results) >= at.Size {
		one, err := fetchPage[T](ctx, s, ep, 0, 1)
		if err != nil {
			return err
		}
		if len(one.Results) > 1 {
			at.Size = len(page.Results) + 1
		}
	}
	seen := map[text]bool{}
	for {
		for _, row := range page.Results {
			if seen[row.key()] {
				return inconsistent("%s repeats entries: it changed while it was read, or has no pages", ep.path)
			}
			seen[row.key()] = true
		}
		if err := atMost(len(seen), "entries of "+ep.path); err != nil {
			return err
		}
		at.Total = new(at.Done + len(page.Results))
		page.Total = at.Total
		if err := take(page); err != nil {
			return err
		}
		if len(page.Results) < at.Size {
			return settled[T](ctx, s, ep, at)
		}
		var err error
		if page, err = fetchPage[T](ctx, s, ep, at.Done/at.Size, at.Size); err != nil {
			return err
		}
	}
}

// settled makes sure that a list which was read in pages is at its end what it
// was on the way. When an entry goes away, those behind it move up, and one
// moves from the page that comes next to the one that was read already; where
// another is added, the totals do not show it. Then the entries that ended the
// pages are no longer where they were. Behind the last one there is nothing,
// or the total was too low.
func settled[T row](ctx context.Context, s *source, ep endpoint, at *progress) error {
	if at.Done != *at.Total {
		return inconsistent("%s was read to entry %d of %d", ep.path, at.Done, *at.Total)
	}
	type place struct {
		index int
		id    string // "" past the end
	}
	var places []place
	for page, id := range at.Ends {
		if end := (page + 1) * at.Size; end < *at.Total {
			places = append(places, place{end - 1, id})
		}
	}
	if *at.Total > 0 && *at.Total%at.Size == 0 {
		places = append(places, place{index: *at.Total})
	}
	next := 0
	return inOrder(ctx, len(places), s.parallel, func(ctx context.Context, i int) (listing[T], error) {
		return fetchPage[T](ctx, s, ep, places[i].index, 1)
	}, func(one listing[T]) error {
		found := ""
		if len(one.Results) > 0 {
			found = string(one.Results[0].key())
		}
		if found != places[next].id {
			return inconsistent("%s changed while it was read", ep.path)
		}
		next++
		return nil
	})
}

// fetchPage reads one page. Only roles, which are documented without a total,
// may come without one.
func fetchPage[T row](ctx context.Context, s *source, ep endpoint, page, size int) (listing[T], error) {
	var answer listing[T]
	err := s.get(ctx, ep, "", pageQuery(page, size), &answer)
	if err != nil {
		return answer, err
	}
	if answer.Total == nil && ep != rolesEndpoint || answer.Total != nil && *answer.Total < 0 || answer.Results == nil {
		return answer, inconsistent("%s answered without its total or its results", ep.path)
	}
	return answer, nil
}

func pageQuery(page, size int) url.Values {
	return url.Values{
		"page":      {strconv.Itoa(page)},
		"page-size": {strconv.Itoa(size)},
		"sort":      {"id:asc"},
	}
}

// check compares a page with what is due at this place.
func (at *progress) check(ep endpoint, total *int, rows int) error {
	if total == nil {
		return inconsistent("%s answered without the total that it had when the read began", ep.path)
	}
	if *total != *at.Total {
		return inconsistent("%s has %d entries and had %d when the read began", ep.path, *total, *at.Total)
	}
	if due := min(at.Size, *at.Total-at.Done); rows != due {
		return inconsistent("%s answered %d entries after the first %d of %d, where %d were due", ep.path, rows, at.Done, *at.Total, due)
	}
	return nil
}
