import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * Peer is Hadoop's own client, doing what it is told: one command a line on the
 * standard input, one answer a line on the standard output. An answer is "ok" and
 * numbers, all of them nanoseconds, or "failed" and why.
 *
 * <pre>
 * append FOLDER flush|sync FILES MILLIS BYTES   elapsed, then the time of each append
 * stream FOLDER BYTES PIECE                     elapsed
 * open FOLDER flush|sync COUNT BYTES            elapsed, then the time of each opening
 * gap FOLDER BYTES                              "ok" when it appends; on "stop": the longest time between two acknowledgements
 * </pre>
 *
 * What is not to be measured, as closing and removing files, happens after the
 * clock has stopped and before the answer. It ends with its standard input.
 */
public final class Peer {
  private static final short REPLICATION = 3;
  private static final int BUFFER = 4096;
  /** As Talos has it: a file has one block, and the NameNode wants room for 128 of them. */
  private static final long BLOCK = 128L << 20;

  private final FileSystem fs;
  private final PrintStream answers;

  private Peer(FileSystem fs, PrintStream answers) {
    this.fs = fs;
    this.answers = answers;
  }

  public static void main(String[] args) throws Exception {
    PrintStream answers = System.out;
    // Hadoop's log goes to the standard output, wherever that is when it begins.
    System.setOut(System.err);
    Configuration conf = new Configuration();
    // With three DataNodes there is none to replace a dead one with.
    conf.setBoolean("dfs.client.block.write.replace-datanode-on-failure.best-effort", true);
    try (FileSystem fs = FileSystem.get(conf)) {
      new Peer(fs, answers).run();
    }
  }

  private void run() throws Exception {
    try (BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
      for (String line = in.readLine(); line != null; line = in.readLine()) {
        String[] words = line.split(" ");
        try {
          if (words[0].equals("gap")) {
            gap(new Path(words[1]), Integer.parseInt(words[2]), in);
          } else {
            answer(obey(words));
          }
        } catch (Exception e) {
          answers.println("failed " + e.toString().replace('\n', ' '));
          answers.flush();
        }
      }
    }
  }

  private void answer(long... numbers) {
    StringBuilder text = new StringBuilder("ok");
    for (long n : numbers) {
      text.append(' ').append(n);
    }
    answers.println(text);
    answers.flush();
  }

  private long[] obey(String[] words) throws Exception {
    Path folder = new Path(words[1]);
    switch (words[0]) {
      case "append":
        return append(folder, words[2].equals("sync"), Integer.parseInt(words[3]),
            Long.parseLong(words[4]) * 1_000_000, new byte[Integer.parseInt(words[5])]);
      case "stream":
        return stream(folder, Long.parseLong(words[2]), new byte[Integer.parseInt(words[3])]);
      case "open":
        return open(folder, words[2].equals("sync"), Integer.parseInt(words[3]), new byte[Integer.parseInt(words[4])]);
      default:
        throw new IOException("there is no command " + words[0]);
    }
  }

  private FSDataOutputStream create(Path path) throws IOException {
    return fs.create(path, false, BUFFER, REPLICATION, BLOCK);
  }

  private static void write(FSDataOutputStream out, byte[] piece, boolean sync) throws IOException {
    out.write(piece);
    if (sync) {
      out.hsync();
    } else {
      out.hflush();
    }
  }

  /** One thread for each file, each with one append at a time. */
  private long[] append(Path folder, boolean sync, int files, long nanos, byte[] piece) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(files);
    long[] clock = new long[2];
    int[] step = new int[1];
    CyclicBarrier together = new CyclicBarrier(files, () -> clock[step[0]++] = System.nanoTime());
    List<Future<long[]>> all = new ArrayList<>();
    for (int i = 0; i < files; i++) {
      Path path = new Path(folder, "append-" + i);
      Callable<long[]> one = () -> {
        try (FSDataOutputStream out = create(path)) {
          write(out, piece, sync);
          together.await();
          long[] took = appends(out, piece, sync, clock[0] + nanos);
          together.await();
          return took;
        } catch (Exception e) {
          together.reset(); // nobody waits for this one
          throw e;
        }
      };
      all.add(threads.submit(one));
    }
    long[] result = new long[1];
    for (Future<long[]> one : all) {
      long[] took = one.get();
      int n = result.length;
      result = Arrays.copyOf(result, n + took.length);
      System.arraycopy(took, 0, result, n, took.length);
    }
    threads.shutdown();
    result[0] = clock[1] - clock[0];
    fs.delete(folder, true);
    return result;
  }

  private static long[] appends(FSDataOutputStream out, byte[] piece, boolean sync, long deadline) throws IOException {
    long[] took = new long[1024];
    int n = 0;
    for (long begun = System.nanoTime(); begun < deadline; n++) {
      write(out, piece, sync);
      long now = System.nanoTime();
      if (n == took.length) {
        took = Arrays.copyOf(took, 2 * n);
      }
      took[n] = now - begun;
      begun = now;
    }
    return Arrays.copyOf(took, n);
  }

  private long[] stream(Path folder, long bytes, byte[] piece) throws IOException {
    long elapsed;
    try (FSDataOutputStream out = create(new Path(folder, "stream"))) {
      write(out, new byte[1024], false);
      long begun = System.nanoTime();
      for (long left = bytes; left > 0; left -= piece.length) {
        out.write(piece);
      }
      out.hflush();
      elapsed = System.nanoTime() - begun;
    }
    fs.delete(folder, true);
    return new long[] {elapsed};
  }

  /** From the call of create until the first bytes are on the DataNodes. */
  private long[] open(Path folder, boolean sync, int count, byte[] piece) throws IOException {
    long[] result = new long[1 + count];
    for (int i = 0; i < count; i++) {
      long begun = System.nanoTime();
      FSDataOutputStream out = create(new Path(folder, "open-" + i));
      write(out, piece, sync);
      result[1 + i] = System.nanoTime() - begun;
      result[0] += result[1 + i];
      out.close();
    }
    fs.delete(folder, true);
    return result;
  }

  private void gap(Path folder, int bytes, BufferedReader in) throws Exception {
    byte[] piece = new byte[bytes];
    long[] longest = new long[1];
    try (FSDataOutputStream out = create(new Path(folder, "gap"))) {
      write(out, piece, false);
      boolean[] stop = new boolean[1];
      ExecutorService thread = Executors.newSingleThreadExecutor();
      Future<?> ended = thread.submit(() -> {
        long last = System.nanoTime();
        while (!stopped(stop)) {
          write(out, piece, false);
          long now = System.nanoTime();
          longest[0] = Math.max(longest[0], now - last);
          last = now;
        }
        return null;
      });
      answer();
      in.readLine();
      synchronized (stop) {
        stop[0] = true;
      }
      ended.get();
      thread.shutdown();
    }
    fs.delete(folder, true);
    answer(longest[0]);
  }

  private static boolean stopped(boolean[] stop) {
    synchronized (stop) {
      return stop[0];
    }
  }
}
