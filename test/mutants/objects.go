package mutants

// Objects lists the rules by which the S3 store fences, broken one by one.
func Objects() []Mutant {
	const tests = "./test/s3"
	return []Mutant{
		{
			Name:    "puts a chunk whatever is there",
			Edits:   []Edit{{"storage/s3/bucket.go", "	options.SetMatchETagExcept(\"*\")\n", ""}},
			Package: tests, Test: "TestWhatLiesInTheBucket", Says: "can't keep segments safe",
		},
		{
			Name:    "acknowledges what lies behind a failed append",
			Edits:   []Edit{{"storage/s3/appender.go", "	case wasDead:\n", "	case wasDead && err != nil:\n"}},
			Package: tests, Test: "TestAnAppendThatFailsKillsTheAppender", Says: "in chain but got nil",
		},
		{
			Name:    "recovers without a seal",
			Edits:   []Edit{{"storage/s3/recover.go", "	err := s.bucket.create(ctx, s.chunk(id, number), nil)\n	switch", "	err := error(nil)\n	switch"}},
			Package: tests, Test: "TestAZombieAcknowledgesNothingAfterTheRecovery", Says: "acknowledged beyond the recovered length",
		},
		{
			Name:    "recovers by a listing alone",
			Edits:   []Edit{{"storage/s3/recover.go", "		if sizes[i] != o.size {\n", "		if i < 0 {\n"}},
			Package: tests, Test: "TestARecoverCountsNothingThatIsTakenBack", Says: "objects that are there for good",
		},
		{
			Name:    "removes the seal with the chunks",
			Edits:   []Edit{{"storage/s3/remove.go", "		if o.size > 0 {\n", "		if o.number > 0 {\n"}},
			Package: tests, Test: "TestAZombieIsStoppedByARemove", Says: "in chain but got nil",
		},
		{
			Name:    "frees the name of a removed segment",
			Edits:   []Edit{{"storage/s3/remove.go", "		case err == nil:\n			return s.bucket.overwrite(ctx, s.chunk(id, 0))\n", "		case err == nil:\n			return s.bucket.remove(ctx, s.chunk(id, 0))\n"}},
			Package: tests, Test: "TestAZombieIsStoppedByARemove", Says: "in chain but got nil",
		},
		{
			Name:    "recovers without a wall",
			Edits:   []Edit{{"storage/s3/recover.go", "	err := s.bucket.create(ctx, s.chunk(id, number), nil)\n	if", "	err := error(nil)\n	if"}},
			Package: tests, Test: "TestARecoverCatchesUpWithAnyAppender", Says: "could not be put in 32 rounds",
		},
		{
			Name:    "takes a missing chunk for the end",
			Edits:   []Edit{{"storage/s3/run.go", "return !r.sealed && r.far >= r.next()+window", "return false"}},
			Package: tests, Test: "TestAMissingChunkIsShownAndNothingIsCut", Says: "in chain but got nil",
		},
	}
}
