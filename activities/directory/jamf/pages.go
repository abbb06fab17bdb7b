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
		return yield(page.Results)
	}
	if at.Total == nil {
		first, err := fetchPage[T](ctx, s, ep, 0, at.Size)
		if err != nil {
			return err
		}
		at.Total = first.Total
		if err := take(first); err != nil {
			return err
		}
	}
	if at.Done == *at.Total {
		return nil
	}
	next := at.Done / at.Size
	pages := (*at.Total + at.Size - 1) / at.Size
	return inOrder(ctx, pages-next, s.parallel, func(ctx context.Context, i int) (listing[T], error) {
		return fetchPage[T](ctx, s, ep, next+i, at.Size)
	}, take)
}

// fetchPage reads one page. Roles are documented without a total, and are
// then taken to be whole when they do not fill the page.
func fetchPage[T row](ctx context.Context, s *source, ep endpoint, page, size int) (listing[T], error) {
	var answer listing[T]
	err := s.get(ctx, ep, "", pageQuery(page, size), &answer)
	if err != nil {
		return answer, err
	}
	if answer.Total == nil && ep == rolesEndpoint && page == 0 && len(answer.Results) < size {
		answer.Total = new(len(answer.Results))
	}
	if answer.Total == nil || *answer.Total < 0 || answer.Results == nil {
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
	if *total != *at.Total {
		return inconsistent("%s has %d entries and had %d when the read began", ep.path, *total, *at.Total)
	}
	if due := min(at.Size, *at.Total-at.Done); rows != due {
		return inconsistent("%s answered %d entries after the first %d of %d, where %d were due", ep.path, rows, at.Done, *at.Total, due)
	}
	return nil
}
