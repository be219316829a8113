package chunk

import (
	"structs"
	"sync/atomic"
	"unsafe"
)

// words lie at the start of the board's file.
//
//	  off    size field
//	    0       8 head     ring entries that were claimed, or passed; a reason to look, no more
//	   64       8 tail     ring entries that were published
//	  128       4 need     the parent sleeps: wake it when fewer chunks than this are left to claim; 0: awake; 1<<31: do not, see Attend
//	  192     128 asleep   bitmap of the workers that sleep
//	  320      64 finished bitmap of the slots that the parent should look at
//	  384         (unused)
//	  512    4096 ring     numbers of slots
//	 4608   32768 slots    a word each, on a line of its own
//	37376   65536 workers  a record each
type words struct {
	_        structs.HostLayout
	head     atomic.Uint64
	_        [56]byte
	tail     atomic.Uint64
	_        [56]byte
	need     atomic.Uint32
	_        [60]byte
	asleep   [MaxWorkers / 64]atomic.Uint64
	finished [Slots / 64]atomic.Uint64
	_        [128]byte
	ring     [ringSize]atomic.Uint32
	slots    [Slots]slotWord
	workers  [MaxWorkers]record
}

type slotWord struct {
	word atomic.Uint64
	_    [56]byte
}

// A record is what parent and worker tell one another.
//
//	off size field
//	  0    4 park  0: the worker sleeps, or is about to; 1: it is to look again
//	  4    4 leave 1: the worker is to leave after the item that it has in hand
//	  8    8 began when it began that item, CLOCK_MONOTONIC in ns; kept only under a time limit
//	 16    8 busy  how long it has worked on chunks, in ns
//	 24    8 idle  how long it has waited for one, in ns
//	 32    8 init  how long its initialiser has taken, in ns
//	 40    8 exit  how long its counterpart has taken, in ns
type record struct {
	_     structs.HostLayout
	park  atomic.Uint32
	leave atomic.Uint32
	began atomic.Int64
	busy  atomic.Int64
	idle  atomic.Int64
	init  atomic.Int64
	exit  atomic.Int64
	_     [16]byte
}

// A Head is the first line of a chunk's arguments.
//
//	off size field
//	  0    8 func  which function, see proc
//	  8    8 job   which call
//	 16    8 first index of the first item in the call
//	 24    4 items how many
//	 28    4 flags see the constants
type Head struct {
	_     structs.HostLayout
	Func  uint64
	Job   uint64
	First uint64
	Items uint32
	Flags uint32
	_     [32]byte
}

// Flags of a chunk.
const (
	// Timed says that the worker is to note when it begins an item.
	Timed = 1 << iota
	// Shared says that the job has an argument of its own, and each item's is a
	// range.
	Shared
)

const (
	wordsSize = 102912
	headSize  = 64

	// resultsAt is where the areas of results begin: on a page.
	resultsAt = 1 << 17
)

// The layout is a format that processes share. A change must stop the build.
var (
	_ [wordsSize]byte = [unsafe.Sizeof(words{})]byte{}
	_ [64]byte        = [unsafe.Offsetof(words{}.tail)]byte{}
	_ [128]byte       = [unsafe.Offsetof(words{}.need)]byte{}
	_ [192]byte       = [unsafe.Offsetof(words{}.asleep)]byte{}
	_ [320]byte       = [unsafe.Offsetof(words{}.finished)]byte{}
	_ [512]byte       = [unsafe.Offsetof(words{}.ring)]byte{}
	_ [4608]byte      = [unsafe.Offsetof(words{}.slots)]byte{}
	_ [37376]byte     = [unsafe.Offsetof(words{}.workers)]byte{}
	_ [64]byte        = [unsafe.Sizeof(record{})]byte{}
	_ [headSize]byte  = [unsafe.Sizeof(Head{})]byte{}
	_ [resultsAt - wordsSize]byte
)

func wordsOf(data []byte) *words { return (*words)(unsafe.Pointer(unsafe.SliceData(data[:wordsSize]))) }

func headOf(area []byte) *Head { return (*Head)(unsafe.Pointer(unsafe.SliceData(area[:headSize]))) }
