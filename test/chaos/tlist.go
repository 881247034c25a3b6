package chaos

// Case is one thing that broke in a system of this kind, with the number by which
// the project knows it, and what makes sure that it does not break here.
type Case struct {
	Number int
	// What went wrong there.
	What string
	// Tests are the names of tests, each behind the folder of its package.
	Tests []string
	// Faults are those of the histories that can show it.
	Faults []string
	// NotYet says why the case does not apply yet, or in which part.
	NotYet string
}

// Cases are all of them.
func Cases() []Case { return append(casesOfData(), casesOfProtocols()...) }

func casesOfData() []Case {
	return []Case{
		{
			Number: 1, What: "a flipped or missing byte in one copy: acknowledged records went from the middle of the log",
			Tests: []string{
				"test/damage.TestEveryFlippedByteOfASealedSegment", "test/damage.TestEveryFlippedByteOfAnUnsealedSegment",
				"test/damage.TestTruncatedSegment", "hdfs/internal/datanode.TestAShorterReplicaIsReplaced",
			},
		},
		{
			Number: 2, What: "metadata could not be read, and the data was deleted as nobody's",
			Tests: []string{
				"test/damage.TestMissingSegment", "test/s3.TestAMissingChunkIsShownAndNothingIsCut",
				"partition.TestASegmentWhoseAgeCanNotBeReadStays", "partition.TestADeposedOwnerRemovesNothing",
			},
		},
		{
			Number: 3, What: "acknowledged records were not on disk yet when the power failed",
			Tests: []string{"storage/local.TestNoCrashBreaksAPromise", "test/hdfs.TestAllDataNodesAreKilledAndStartedAgain"},
		},
		{
			Number: 4, What: "the owner crashed with its page cache while others stood still: a stale end was accepted",
			Tests:  []string{"storage/local.TestNoCrashBreaksAPromise", "test/hdfs.TestARecoveryWaitsForADataNode", "test/mutants.TestEachBrokenRuleIsNoticed"},
			Faults: []string{"kill-in-append", "pause"},
		},
		{
			Number: 5, What: "members changed while nodes were killed and cut off, and acknowledged records were lost",
			Tests:  []string{"test/chaos.TestHistories"},
			Faults: []string{"drain", "move", "restart", "announced-restart", "kill", "cut-etcd"},
		},
		{
			Number: 6, What: "a process that crashed while it wrote metadata took a stream with it",
			Tests: []string{"test/crash.TestDeathAtEachStep", "test/crash.TestDeathWhileATopicIsMade"},
		},
		{
			Number: 7, What: "an acknowledgement carried offset zero by default",
			Tests: []string{"test/history.TestEachAnomalyIsFound", "sdk.TestStoredTooLongAgoToKnow", "test/chaos.TestHistories"},
		},
		{
			Number: 8, What: "acknowledged records were lost in a healthy cluster",
			Tests: []string{"test/chaos.TestT8AHistoryWithoutFaults"},
		},
		{
			Number: 9, What: "producers and consumers were stuck for good",
			Tests: []string{"test/chaos.TestHistories"}, // after each fault every partition must acknowledge, and each follower get all
		},
		{
			Number: 17, What: "a log went on behind a gap, or cut what lay behind it",
			Tests: []string{"talos/server.TestABrokenChainIsToldAsOne", "test/damage.TestMissingSegment", "test/explore.TestNoInterleavingBreaksAPromise"},
		},
	}
}

func casesOfProtocols() []Case {
	return []Case{
		{
			Number: 10, What: "requests that came late or twice took effect in a later epoch",
			Tests:  []string{"sdk.TestDuplicatesAreTold", "partition.TestADuplicateInFlightWaitsForTheOriginal"},
			Faults: []string{"late-writes", "cut-clients"},
			NotYet: "there are no transactions yet, so that only Produce can come late",
		},
		{Number: 11, What: "a transaction that hangs held back all readers for ever", NotYet: "there are no transactions yet"},
		{
			Number: 12, What: "an owner served before it had caught up",
			Tests:  []string{"test/explore.TestNoInterleavingBreaksAPromise", "test/mutants.TestEachBrokenRuleIsNoticed"},
			Faults: []string{"kill", "pause", "cut-etcd"},
		},
		{
			Number: 13, What: "what is known of producers was lost or wrong after a change of owner, a roll, retention or a restart",
			Tests: []string{
				"partition.TestADuplicateGetsItsFirstOffsetWhereverTheOriginalIs", "partition.TestProducersOutliveTheDataTheyWrote",
				"partition.TestWhatAnOwnerTookIsKnownToTheNext", "test/mutants.TestEachBrokenNodeIsNoticed",
			},
			Faults: []string{"cut-clients", "kill", "drain"},
		},
		{
			Number: 14, What: "an error that says nothing made a client send again, and a record was stored twice",
			Tests: []string{"partition.TestWhatIsInFlightWhenALogIsGivenUpHasAnUnknownOutcome", "sdk.TestRefusedForGood", "sdk.TestForgottenAfterAnAttemptWithoutAnswer"},
		},
		{
			Number: 15, What: "a coordinator's state was not durable when the first write depended on it",
			Tests:  []string{"coordinator.TestProducerIDs_AreFreshAfterAnOldCopyIsRestored", "coordinator.TestProducerIDs_TwoNodesAtOnceGetTwoBlocks"},
			NotYet: "groups and transactions, whose coordinators have more state, are not there yet",
		},
		{
			Number: 16, What: "available rather than consistent was the default",
			Tests: []string{"test/hdfs.TestWithTooFewDataNodesNothingIsWrittenUntilTheyAreBack"},
		},
		{
			Number: 18, What: "a paused owner went on after its lease, and both its write and its commit succeeded",
			Tests:  []string{"test/hdfs.TestADeposedOwnerAcknowledgesNothing", "test/s3.TestAZombieAcknowledgesNothingAfterTheRecovery", "test/mutants.TestEachBrokenNodeIsNoticed"},
			Faults: []string{"late-writes", "pause"},
		},
		{Number: 19, What: "a heartbeat that came twice fenced a member", NotYet: "there are no consumer groups yet"},
	}
}
