package main

// boundedSemaphoreMutants break BoundedSemaphore.
var boundedSemaphoreMutants = []mutant{}
