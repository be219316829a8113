package main

// barrierMutants break Barrier.
var barrierMutants = []mutant{}
