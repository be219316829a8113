// Package chunk is what a pool and its workers share: chunks of tasks, each in
// a slot with its arguments and results, and the ring in which they are told of
// one another.
//
// A chunk is claimed by one compare-and-swap of the slot's own word, and the
// same word carries progress, commit, the parent's verdict and its taking back
// (see Word). So there is no lock that a worker could die with, or be stopped
// with. The word is authority. Ring, head, bitmaps and the parent's futex are
// only reasons to look at it: they may be lost, stale or repeated.
//
// The steps, with the numbers of the probe points:
//
//	Publish  101  arguments
//	         102  word = Ready
//	         103  ring[tail] = slot
//	         104  tail++, for one or for several
//	         105  more chunks are out than workers awake, and one sleeps: clear its bit, unpark it, wake it
//	Claim    110  head == tail: nothing to do
//	         111  slot = ring[head]
//	         112  note the time, if the worker may be under a limit
//	         113  CAS word Ready -> Running(me, 0)              CLAIM, and BEGIN of item 0
//	         114  CAS head -> head+1, also if 113 failed: then another was faster and may be dead
//	Item     115  run the function
//	         116  write its result
//	         117  CAS word Running(me, i) -> Running(me, i+1), Done or Stopped
//	              COMMIT of item i, and BEGIN of the next one. It fails if the parent has taken items back: again;
//	              or has passed its verdict: touch nothing any more
//	         118  finished |= slot
//	         119  the parent sleeps, and wants to know: CAS need -> 0
//	         120  wake it
//	Rest     130  park = 0
//	         131  asleep |= me
//	         132  head != tail, or told to leave: take 131 back, look again
//	         133  as 119, 120: nothing is left to claim
//	         134  sleep until park is 1
//	Collect  140  take a bit of finished
//	         141  deliver what was committed since the last look
//	         142  all of it: word = Free
//	Death    150  after the worker was waited for: deliver what it had committed, in each slot that names it
//	         151  Running: the item in hand is tried again, or has failed. Killed: it has its outcome
//	         152  items behind it go back, as if never published
//	         153  word = Free
//	         154  clear its bit in asleep; a new worker may take the index
//	         155  chunks are left, and a worker sleeps: wake one
//	Verdict  160  CAS word Running(w, i) -> Killed(w, i)
//	         161  item i has its outcome
//	         162  kill w
//	Cut      163  CAS word Running(w, i) with a smaller limit, above i: the items behind it are the parent's again
//	Pause    170  need = n
//	         171  look again
//	         172  sleep, at most 100 ms while work is out
//	         173  afterwards look at all words that are out, hinted or not; chunks are left, and a worker sleeps: wake one
//
// A goroutine of the parent that waits for a result may look for it itself, and
// then need says that nobody is to be woken (Attend). When it gives up it announces
// the goroutine that sleeps, and looks again: 170 and 171, and that one's sleep is
// 172.
//
// 105 wakes nobody as long as there are no more chunks out than workers awake: who
// is awake and has none looks for one, at 132, before it sleeps. Those that are
// known to be leaving do not count.
//
// 117 is one step because there must be no moment at which parent and worker
// disagree on who holds what; it also decides between completion and verdict:
// one of 117 and 160 succeeds. The bound of 172 and the look at all words are
// for a worker that is stopped, with SIGSTOP, between 117 and 118, or after it
// was woken and before 113: no death tells of it.
//
// Arguments lie in a file of their own that workers map read-only, so a retry
// sees them untouched. The parent keeps which items a slot holds, attempts and
// free slots in its own heap. It checks each word against that.
package chunk

import (
	"errors"
	"fmt"
	"os"

	"github.com/edsrzf/mmap-go"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/memfd"
)

const (
	// Slots is how many chunks may be out.
	Slots = 512

	// areaSize is how many bytes the arguments, and the results, of a chunk may
	// take. Pages that nobody has touched cost nothing.
	areaSize = 1 << 16

	// Room is how much of that is for records.
	Room = areaSize - headSize

	// ringSize: more than Slots, because the entry of a chunk that was withdrawn
	// stays until a worker passes it.
	ringSize = 1024
)

// A Board is one process's view of the memory.
type Board struct {
	words   *words
	shared  mmap.MMap // words, and areas of results
	args    mmap.MMap // areas of arguments
	files   [2]*os.File
	pending uint64 // parent: what tail is, or will be when it is announced
	passed  uint64 // parent: what head was when it was looked at
}

// New makes a board. The parent has the memory of the arguments alone to write.
func New(name string) (_ *Board, err error) {
	b := &Board{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("make the memory of a pool: %w", err), b.Close())
		}
	}()
	if b.files[0], err = memfd.New(name, resultsAt+Slots*areaSize); err != nil {
		return nil, err
	}
	if b.files[1], err = memfd.New(name+" arguments", Slots*areaSize); err != nil {
		return nil, err
	}
	if err := b.open(mmap.RDWR); err != nil {
		return nil, err
	}
	// Whoever maps it from now on can only read. Linux 5.1 has this seal; before,
	// workers are trusted not to write.
	_ = memfd.Seal(b.files[1], unix.F_SEAL_FUTURE_WRITE|unix.F_SEAL_SEAL)
	return b, nil
}

// Open opens the board in the files that another process made. It takes them
// over.
func Open(shared, args *os.File) (_ *Board, err error) {
	b := &Board{files: [2]*os.File{shared, args}}
	for i, f := range b.files {
		want := int64(Slots * areaSize)
		if i == 0 {
			want += resultsAt
		}
		info, statErr := f.Stat()
		if statErr == nil && info.Size() != want {
			statErr = fmt.Errorf("%s has %d bytes, want %d", f.Name(), info.Size(), want)
		}
		err = errors.Join(err, statErr)
	}
	if err == nil {
		err = b.open(mmap.RDONLY)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the memory of a pool: %w", err), b.Close())
	}
	return b, nil
}

func (b *Board) open(args int) (err error) {
	if b.shared, err = mmap.MapRegion(b.files[0], resultsAt+Slots*areaSize, mmap.RDWR, 0, 0); err != nil {
		return err
	}
	b.words = wordsOf(b.shared)
	b.args, err = mmap.MapRegion(b.files[1], Slots*areaSize, args, 0, 0)
	return err
}

// Files returns the two files, for Open in another process. They belong to the
// board.
func (b *Board) Files() (shared, args *os.File) { return b.files[0], b.files[1] }

// Close unmaps the board, which must not be used any more.
func (b *Board) Close() (err error) {
	for _, m := range []*mmap.MMap{&b.shared, &b.args} {
		if *m != nil {
			err = errors.Join(err, m.Unmap())
		}
	}
	for _, f := range b.files {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

// results returns the area for the results of a slot.
func (b *Board) results(slot int) []byte {
	at := resultsAt + slot*areaSize
	return b.shared[at : at+areaSize : at+areaSize]
}

// arguments returns the area for the arguments of a slot.
func (b *Board) arguments(slot int) []byte {
	at := slot * areaSize
	return b.args[at : at+areaSize : at+areaSize]
}
