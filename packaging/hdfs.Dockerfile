# The servers of HDFS in the version that tools/hadoop pins, for trying Talos on them.
# From the root of the tree:
#
#   docker build -f packaging/hdfs.Dockerfile -t talos-hdfs .
#   docker run talos-hdfs namenode        # or datanode, which looks for a host named namenode
FROM debian:bookworm-slim AS jars
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends maven openjdk-17-jdk-headless
WORKDIR /src
COPY tools/hadoop/pom.xml ./
RUN mvn --batch-mode --quiet --strict-checksums --no-transfer-progress \
	dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=/out/lib

FROM debian:bookworm-slim
RUN apt-get update \
	&& DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends openjdk-17-jre-headless \
	&& rm -rf /var/lib/apt/lists/* \
	&& useradd --system --uid 65532 --home-dir /data hdfs && install -d -o hdfs /data
COPY --from=jars /out/lib /opt/hadoop/lib
COPY packaging/hdfs/*.xml packaging/hdfs/log4j.properties /opt/hadoop/conf/
# The servers don't start without their folders of web pages, which may be empty.
RUN mkdir -p /opt/hadoop/conf/webapps/hdfs /opt/hadoop/conf/webapps/datanode
COPY packaging/hdfs/run.sh /usr/local/bin/hdfs
COPY packaging/answers.sh /usr/local/bin/answers
USER hdfs
VOLUME /data
EXPOSE 8020 9864 9866 9867 9870
ENTRYPOINT ["hdfs"]
