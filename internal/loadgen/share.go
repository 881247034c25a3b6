package loadgen

// Share is which of the partitions belong to one of so many: each to one of them;
// or, if they are more than the partitions, one to each.
func Share(partitions int32, number, of int) []int32 {
	if of > int(partitions) {
		return []int32{int32(number) % partitions}
	}
	var own []int32
	for p := int32(number); p < partitions; p += int32(of) {
		own = append(own, p)
	}
	return own
}
