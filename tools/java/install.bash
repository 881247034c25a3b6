# Functions for scripts that put a release of servers in Java, which a pom.xml
# pins, into .bin/NAME/VERSION: its jars, and what the caller makes of them. To be
# sourced, with here set to the folder of pom.xml and name to NAME.
root=$(cd "$here/../.." && pwd)
version=$(sed -n "s|.*<$name.version>\(.*\)</$name.version>.*|\1|p" "$here/pom.xml")
folder=$root/.bin/$name/$version
wanted=$(cksum <"$here/pom.xml")

installed() {
	command -v javac >/dev/null && [ "$(cat "$folder/stamp" 2>/dev/null)" = "$wanted" ]
}

# quietly runs a command, whose output matters only if it fails.
quietly() {
	"$@" >"$folder/output" 2>&1 && return
	cat "$folder/output" >&2
	return 1
}

java_and_maven() {
	if command -v javac >/dev/null && command -v mvn >/dev/null; then
		return
	fi
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		echo "$title needs Java 17 or later with its compiler, and Maven to fetch it: install javac and mvn," >&2
		echo "for example Debian's openjdk-17-jdk-headless and maven" >&2
		return 1
	fi
	export DEBIAN_FRONTEND=noninteractive
	quietly apt-get update -qq
	local java=openjdk-17-jdk-headless
	# Later releases of Debian have only later ones.
	apt-cache show "$java" >/dev/null 2>&1 || java=openjdk-21-jdk-headless
	quietly apt-get install -y -qq --no-install-recommends "$java" maven
}

jars() {
	rm -rf "$folder/lib" "$folder/lib.part"
	quietly mvn --batch-mode --quiet --strict-checksums --no-transfer-progress -Dstyle.color=never \
		--file "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$folder/lib.part"
	mv "$folder/lib.part" "$folder/lib"
}

# install_once does it once for each pom.xml; two runs at once are fine. finish is the
# caller's, and runs when the jars are there; what it starts must not hold the lock,
# should that outlive the script, so it has no descriptor 9.
install_once() {
	installed && return
	mkdir -p "$folder"
	exec 9>"$folder/lock"
	flock 9
	installed && return
	echo "installing $title $version into .bin (pinned in tools/$name)"
	rm -f "$folder/stamp"
	java_and_maven
	jars
	finish 9>&-
	rm -f "$folder/output"
	echo "$wanted" >"$folder/stamp"
}
