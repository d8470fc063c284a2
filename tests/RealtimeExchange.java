import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * An exchange by the WebSocket of Java's own library: java RealtimeExchange.java URL TOKEN EXCHANGE.
 * EXCHANGE is a file. Every event that it is told is printed, one a line.
 */
public class RealtimeExchange {
    static final long SECONDS = 60;

    public static void main(String[] arguments) throws Exception {
        BlockingQueue<String> told = new LinkedBlockingQueue<>();
        WebSocket socket = HttpClient.newHttpClient().newWebSocketBuilder()
                .header("Authorization", "Bearer " + arguments[1])
                .buildAsync(URI.create(arguments[0]), new Listening(told))
                .get(SECONDS, TimeUnit.SECONDS);
        for (String line : Files.readAllLines(Path.of(arguments[2]))) {
            String said = line.substring(2);
            if (line.startsWith(">")) {
                socket.sendText(said, true).get(SECONDS, TimeUnit.SECONDS);
            } else {
                await(told, said);
            }
        }
        socket.sendClose(WebSocket.NORMAL_CLOSURE, "").get(SECONDS, TimeUnit.SECONDS);
    }

    static void await(BlockingQueue<String> told, String type) throws InterruptedException {
        String event;
        do {
            event = told.poll(SECONDS, TimeUnit.SECONDS);
            if (event == null) {
                throw new IllegalStateException("no " + type);
            }
            System.out.println(event);
        } while (!event.startsWith("{\"type\":\"" + type + "\""));
    }

    /** Puts the pieces of each text together. */
    record Listening(BlockingQueue<String> told, StringBuilder text) implements WebSocket.Listener {
        Listening(BlockingQueue<String> told) {
            this(told, new StringBuilder());
        }

        @Override
        public CompletionStage<?> onText(WebSocket socket, CharSequence piece, boolean last) {
            text.append(piece);
            if (last) {
                told.add(text.toString());
                text.setLength(0);
            }
            socket.request(1);
            return null;
        }
    }
}
