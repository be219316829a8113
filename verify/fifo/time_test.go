package fifo

import (
	"cmp"
	"slices"
	"sort"
)

// A bound answers, of events that each have a value: the least value after some
// time, or the greatest before it.
type bound []mark

type mark struct{ at, value int64 }

func (b *bound) add(at, value int64) { *b = append(*b, mark{at, value}) }

func (b bound) sort() { slices.SortFunc(b, func(x, y mark) int { return cmp.Compare(x.at, y.at) }) }

// leastAfter sums b up for the question.
func (b bound) leastAfter() func(t int64) int64 {
	b.sort()
	for i := len(b) - 2; i >= 0; i-- {
		b[i].value = min(b[i].value, b[i+1].value)
	}
	return func(t int64) int64 {
		i := sort.Search(len(b), func(i int) bool { return b[i].at > t })
		if i == len(b) {
			return never
		}
		return b[i].value
	}
}

// greatestBefore sums b up for the question.
func (b bound) greatestBefore() func(t int64) int64 {
	b.sort()
	for i := 1; i < len(b); i++ {
		b[i].value = max(b[i].value, b[i-1].value)
	}
	return func(t int64) int64 {
		i := sort.Search(len(b), func(i int) bool { return b[i].at >= t })
		if i == 0 {
			return 0
		}
		return b[i-1].value
	}
}

// A stretch is a time from one event to another, ends not included.
type stretch struct{ from, to int64 }

// counted returns the stretches in which at least n of the given ones hold; from
// each of some times on it is one less. Where one ends and the next begins at the
// same time, they do not hold together.
func counted(all []stretch, n int, less ...op) (held []stretch) {
	type edge struct {
		at   int64
		step int
	}
	var edges []edge
	for _, s := range all {
		edges = append(edges, edge{s.from, 1}, edge{s.to, -1})
	}
	for _, o := range less {
		edges = append(edges, edge{o.call, -1})
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.step, b.step)) })
	depth := 0
	for _, e := range edges {
		depth += e.step
		switch {
		case e.step > 0 && depth == n:
			held = append(held, stretch{e.at, never})
		case e.step < 0 && depth == n-1:
			held[len(held)-1].to = e.at
		}
	}
	return held
}

// around returns the stretch that began last before t.
func around(held []stretch, t int64) stretch {
	i := sort.Search(len(held), func(i int) bool { return held[i].from >= t })
	if i == 0 {
		return stretch{-1, -1}
	}
	return held[i-1]
}
