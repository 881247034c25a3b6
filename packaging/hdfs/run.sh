#!/usr/bin/env bash
# hdfs namenode | datanode: runs one server of HDFS in the foreground, with its data in
# /data. A NameNode without data formats its folder first.
set -euo pipefail
kind=${1:?namenode or datanode}
package=org.apache.hadoop.hdfs.server
case $kind in
namenode) class=$package.namenode.NameNode ;;
datanode) class=$package.datanode.DataNode ;;
*) echo "hdfs: there is no $kind, only namenode and datanode" >&2; exit 2 ;;
esac
# Without the limit a process of many threads takes memory that it does not need.
export MALLOC_ARENA_MAX=2
java=(java -cp '/opt/hadoop/lib/*:/opt/hadoop/conf' -XX:+UseSerialGC -XX:-UsePerfData "-Xmx${HEAP:-512m}" "$class")
if [[ $kind = namenode && ! -e /data/name/current/VERSION ]]; then
	"${java[@]}" -format -nonInteractive
fi
exec "${java[@]}"
