package main

import (
	"context"
	"fmt"
	"os"
	"slices"
)

// A subject is a quantity that several contenders are measured by.
type subject struct {
	Title      string
	Method     string // markdown: what one round does
	Why        string // markdown: what the instructions that were counted say
	Unit       string
	Rounds     int
	Contenders []*contender
	Targets    []target

	close func() error // nil if there is nothing to give back
}

// A contender is one way to do the job.
type contender struct {
	Name   string
	Unit   string // "" = the subject's
	Absent string // why it cannot be measured here; "" = it can

	run     func(context.Context) ([]float64, error) // one round
	figures []float64                                // one a round: the median of what run returned

	path func() (path, error) // counts what it executes; nil if that says nothing
	Path path                 // what path has counted; zero if nothing
}

// measure lets the contenders take turns, A B C A B C: what disturbs the machine
// for a while disturbs all of them.
func (s *subject) measure(ctx context.Context) error {
	for round := range s.Rounds {
		fmt.Fprintf(os.Stderr, "%s: round %d of %d\n", s.Title, round+1, s.Rounds)
		for _, c := range s.Contenders {
			if c.Absent != "" {
				continue
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			samples, err := c.run(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", c.Name, err)
			}
			c.figures = append(c.figures, median(samples))
		}
	}
	for _, c := range s.Contenders {
		if c.path == nil {
			continue
		}
		var err error
		if c.Path, err = c.path(); err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
	}
	return nil
}

// Counted are the contenders whose instructions were counted.
func (s *subject) Counted() (counted []*contender) {
	for _, c := range s.Contenders {
		if c.Path != (path{}) {
			counted = append(counted, c)
		}
	}
	return counted
}

func (s *subject) contender(name string) *contender {
	i := slices.IndexFunc(s.Contenders, func(c *contender) bool { return c.Name == name })
	if i < 0 {
		panic("bench: no contender " + name + " in " + s.Title)
	}
	return s.Contenders[i]
}

func median(samples []float64) float64 {
	s := slices.Sorted(slices.Values(samples))
	n := len(s)
	if n == 0 {
		panic("bench: a round without a sample")
	}
	return (s[(n-1)/2] + s[n/2]) / 2
}

// Median of the rounds.
func (c *contender) Median() float64 { return median(c.figures) }

// Min is the smallest figure of a round.
func (c *contender) Min() float64 { return slices.Min(c.figures) }

// Max is the largest figure of a round.
func (c *contender) Max() float64 { return slices.Max(c.figures) }

// A target bounds a contender's figure, or its ratio to a peer's.
type target struct {
	Ours string
	Peer string // "" = the bound is in the subject's unit

	bound   float64
	atLeast bool
	inverse bool // the ratio is peer's to ours
}

// atMost: ours is at most bound times the peer's.
func atMost(ours string, bound float64, peer string) target {
	return target{Ours: ours, Peer: peer, bound: bound}
}

// atLeast: ours is at least bound times the peer's.
func atLeast(ours string, bound float64, peer string) target {
	return target{Ours: ours, Peer: peer, bound: bound, atLeast: true}
}

// faster: of two times, the peer's is at least bound times ours.
func faster(ours string, bound float64, peer string) target {
	return target{Ours: ours, Peer: peer, bound: bound, atLeast: true, inverse: true}
}

// A verdict is a target with what was measured.
type verdict struct {
	target
	Subject *subject
	Figure  float64
	Missing string // why there is no figure
}

// Verdicts holds the targets against the figures. A ratio is the median of the
// ratios of the rounds: the two figures of one round were taken side by side.
func (s *subject) Verdicts() (verdicts []verdict) {
	for _, t := range s.Targets {
		v := verdict{target: t, Subject: s}
		ours := s.contender(t.Ours)
		figures := slices.Clone(ours.figures)
		v.Missing = ours.Absent
		if t.Peer != "" {
			peer := s.contender(t.Peer)
			if v.Missing == "" {
				v.Missing = peer.Absent
			}
			for i := range min(len(figures), len(peer.figures)) {
				figures[i] /= peer.figures[i]
				if t.inverse {
					figures[i] = 1 / figures[i]
				}
			}
		}
		if v.Missing == "" {
			v.Figure = median(figures)
		}
		verdicts = append(verdicts, v)
	}
	return verdicts
}

// Met reports whether the target is reached.
func (v verdict) Met() bool {
	if v.atLeast {
		return v.Figure >= v.bound
	}
	return v.Figure <= v.bound
}
