package main

// semaphoreMutants break Semaphore.
var semaphoreMutants = []mutant{}
