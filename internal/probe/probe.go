// Package probe names the steps of every multi-step change of shared state.
//
// A step is marked by At where it begins. In an ordinary build At is nothing. A
// build with the tag "crash" can be armed, in a helper process of a test, to
// kill or stop the process at one of them, so that the test can ask the
// survivors to go on. The names are the numbers of the protocol essays
// (docs/protocol.md).
package probe

// A Point is one step.
type Point uint8

// The steps. A number is the step's number in docs/protocol.md; the process
// dies before the step takes effect.
const (
	none Point = iota

	// Taking, marking and releasing a lock word.
	Lock1  // CAS 0 -> me
	Lock2  // look at the word
	Lock3  // CAS free -> me
	Lock4  // CAS dead owner -> me
	Lock5  // fence
	Lock6  // announce a sleeper
	Lock7  // sleep
	Lock8  // pass a death on
	Lock9  // mark consistent
	Lock10 // CAS me -> 0
	Lock11 // release with sleepers or the mark
	Lock12 // wake
	Lock13 // cancelled: give a wake back
	Locked // the lock is held

	// The recursive lock's own words.
	Enter14 // holder = me, depth 1
	Leave15 // holder = 0

	// Claiming a slot of the roster.
	Claim20 // pick a slot
	Claim21 // pending = node
	Claim22 // CAS liveness word
	Claim23 // generation++
	Claim24 // pid, start time
	Claim25 // list = node
	Claim26 // pending = 0
	Claim27 // publish

	// Putting into a ring.
	Put30 // lock the putting side
	Put31 // its holder died
	Put32 // look for room
	Put33 // write the items
	Put34 // commit
	Put35 // wake who waits for items
	Put36 // unlock

	// Getting from a ring.
	Get40 // lock the getting side
	Get41 // its holder died
	Get42 // look for items
	Get43 // copy the items out
	Get44 // commit
	Get45 // wake who waits for room
	Get46 // unlock

	// Waiting for items or for room.
	Wait51 // announce a sleeper
	Wait52 // whom to watch
	Wait53 // look again
	Wait54 // sleep
	Wait55 // slept
	Wait61 // cancelled: give a wake back

	// The end of a queue, and its members.
	Close56    // no more puts
	Seal57     // nothing is under way any more
	Register58 // a producer comes or goes
	Last59     // the last producer has gone
	Done60     // a task is done
	Member62   // a process comes or goes

	// Handing over, in a message, an end of a pipe.
	Hand70 // CAS me -> me, in transit
	Hand71 // wake the other end
	Hand72 // send the message with its descriptors
	Hand73 // it is sent: nothing can be taken back
	Hand74 // it was not sent: take the end back
	Hand75 // the message with its descriptors is in this process
	Hand76 // CAS -> me, the receiver
	Hand77 // wake the other end
	Hand78 // a later part of the message is bad: close what it has opened

	// A pool's chunks: see package chunk.
	Publish102 // offer a chunk
	Publish103 // enter it into the ring
	Publish104 // advance tail
	Publish105 // wake a worker
	Claim110   // look for a chunk
	Claim111   // which slot
	Claim112   // note the time
	Claim113   // claim it
	Claim114   // advance head
	Item115    // run the function
	Item116    // write the result
	Item117    // commit
	Item118    // mark the slot
	Item119    // does the parent sleep
	Item120    // wake it
	Rest130    // park
	Rest131    // announce a sleeper
	Rest132    // look again
	Rest133    // tell the parent
	Rest134    // sleep
	Collect140 // what is finished
	Collect141 // deliver
	Collect142 // free the slot
	Death150   // deliver what the dead one committed
	Death151   // the item in its hand
	Death152   // take the others back
	Death153   // free the slot
	Death154   // free the index
	Death155   // wake another
	Verdict160 // condemn an item
	Verdict161 // its outcome
	Verdict162 // kill
	Cut163     // take items back
	Pause170   // announce that the parent sleeps
	Pause171   // look again
	Pause172   // sleep
	Pause173   // look at all that is out

	// Locking for writing and for reading, on top of a lock word.
	RW201 // take the word
	RW202 // mark a cell as used
	RW203 // claim it
	RW204 // take away what a dead reader left
	RW205 // fence a dead reader
	RW206 // sleep until a cell is free
	RW207 // sleep until a reader leaves
	RW208 // slept
	RW209 // who died wrote nothing: unmark
	RW210 // look at the cells
	RW211 // dirty = 1
	RW212 // dirty = 0
	RW213 // let the word go
	RW214 // count a reader
	RW215 // look at the word
	RW216 // the word is taken: count it no more
	RW217 // take the word
	RW218 // count a reader, with the word
	RW219 // let the word go
	RW220 // count a reader no more
	RW221 // wake who waits for that

	// Taking and releasing permits of a Semaphore.
	Sem231 // take permits that are there
	Sem232 // stand in line
	Sem233 // first in line: take permits
	Sem234 // tell that somebody is first
	Sem235 // sleep
	Sem236 // leave the line
	Sem237 // put permits in
	Sem238 // put permits in, with somebody in line
	Sem239 // wake who is first

	// Taking and releasing permits of a BoundedSemaphore.
	Bound241 // is the line open
	Bound242 // claim
	Bound243 // the sum of all cells
	Bound244 // hold what was claimed
	Bound245 // take the claim back, and wake who is first
	Bound246 // stand in line
	Bound247 // close the line
	Bound248 // void a dead process's cell
	Bound249 // sleep
	Bound250 // open the line
	Bound251 // leave the line
	Bound252 // give permits back
	Bound253 // wake who is first

	// Waiting on a Cond, and signalling it.
	Cond271 // waiting+1
	Cond272 // release the lock
	Cond273 // look for dead waiters
	Cond274 // look for a grant
	Cond275 // sleep
	Cond276 // take the lock
	Cond277 // waiting-1, granted-1
	Cond278 // the lock's depth
	Cond279 // the lock's holder died: wake all
	Cond280 // granted+1
	Cond281 // wake
	Cond282 // pass a dead waiter's grants on
	Cond283 // void its cell
	Cond284 // a cell was claimed: tell the others

	// An event.
	Event291 // look: set?
	Event292 // look again
	Event293 // announce a sleeper
	Event294 // sleep
	Event295 // CAS clear -> set
	Event296 // wake
	Event297 // CAS away W
	Event298 // CAS set -> clear

	// Meeting at a barrier.
	Bar301 // look at the state
	Bar302 // mark the own cell
	Bar303 // look for the dead
	Bar304 // be counted
	Bar305 // sleep
	Bar306 // the action is done
	Bar307 // break
	Bar308 // wake
	Bar309 // begin anew

	// A function that runs once.
	Once321 // look: done?
	Once322 // lock
	Once323 // look again
	Once324 // run the function
	Once325 // done = 1
	Once326 // unlock

	// A group of members that are waited for.
	WaitGroup331 // lock
	WaitGroup332 // its holder died: finish what is on record
	WaitGroup333 // seq+1
	WaitGroup334 // wake all
	WaitGroup335 // no sleeper is announced any more
	WaitGroup336 // the record's state
	WaitGroup337 // the record's cell
	WaitGroup338 // the cell
	WaitGroup339 // the state
	WaitGroup340 // the record's end
	WaitGroup341 // unlock
	WaitGroup342 // give back what a dead process had claimed
	WaitGroup343 // look
	WaitGroup344 // sleep
	WaitGroup345 // slept

	end
)

var names = [end]string{
	"none",
	"lock 1", "lock 2", "lock 3", "lock 4", "lock 5", "lock 6", "lock 7", "lock 8",
	"lock 9", "lock 10", "lock 11", "lock 12", "lock 13", "locked",
	"enter 14", "leave 15",
	"claim 20", "claim 21", "claim 22", "claim 23", "claim 24", "claim 25", "claim 26", "claim 27",
	"put 30", "put 31", "put 32", "put 33", "put 34", "put 35", "put 36",
	"get 40", "get 41", "get 42", "get 43", "get 44", "get 45", "get 46",
	"wait 51", "wait 52", "wait 53", "wait 54", "wait 55", "wait 61",
	"close 56", "seal 57", "register 58", "last 59", "done 60", "member 62",
	"hand 70", "hand 71", "hand 72", "hand 73", "hand 74", "hand 75", "hand 76", "hand 77", "hand 78",
	"publish 102", "publish 103", "publish 104", "publish 105", "chunk 110", "chunk 111",
	"chunk 112", "chunk 113", "chunk 114", "item 115", "item 116", "item 117", "item 118",
	"item 119", "item 120", "rest 130", "rest 131", "rest 132", "rest 133", "rest 134",
	"collect 140", "collect 141", "collect 142", "death 150", "death 151", "death 152",
	"death 153", "death 154", "death 155", "verdict 160", "verdict 161", "verdict 162", "cut 163",
	"pause 170", "pause 171", "pause 172", "pause 173",
	"rw 201", "rw 202", "rw 203", "rw 204", "rw 205", "rw 206", "rw 207", "rw 208", "rw 209", "rw 210",
	"rw 211", "rw 212", "rw 213", "rw 214", "rw 215", "rw 216", "rw 217", "rw 218", "rw 219", "rw 220", "rw 221",
	"sem 231", "sem 232", "sem 233", "sem 234", "sem 235", "sem 236", "sem 237", "sem 238", "sem 239",
	"bound 241", "bound 242", "bound 243", "bound 244", "bound 245", "bound 246", "bound 247",
	"bound 248", "bound 249", "bound 250", "bound 251", "bound 252", "bound 253",
	"cond 271", "cond 272", "cond 273", "cond 274", "cond 275", "cond 276", "cond 277",
	"cond 278", "cond 279", "cond 280", "cond 281", "cond 282", "cond 283", "cond 284",
	"event 291", "event 292", "event 293", "event 294", "event 295", "event 296", "event 297",
	"event 298",
	"bar 301", "bar 302", "bar 303", "bar 304", "bar 305", "bar 306", "bar 307", "bar 308", "bar 309",
	"once 321", "once 322", "once 323", "once 324", "once 325", "once 326",
	"wg 331", "wg 332", "wg 333", "wg 334", "wg 335", "wg 336", "wg 337", "wg 338",
	"wg 339", "wg 340", "wg 341", "wg 342", "wg 343", "wg 344", "wg 345",
}

// String returns the name used in docs/protocol.md.
func (p Point) String() string {
	if p >= end {
		return "unknown"
	}
	return names[p]
}

// Points returns the steps from first to last.
func Points(first, last Point) []Point {
	points := make([]Point, 0, last-first+1)
	for p := first; p <= last; p++ {
		points = append(points, p)
	}
	return points
}
