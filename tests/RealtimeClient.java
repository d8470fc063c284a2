// The Realtime socket with nothing but Java's own library: java RealtimeClient.java ADDRESS TOKEN.
// Sends events as openai-java writes them, appends 15 MiB, asks for speech; prints each event it hears on a line.
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.util.Base64;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

class RealtimeClient implements WebSocket.Listener {
    private final CountDownLatch done = new CountDownLatch(1);
    private final StringBuilder text = new StringBuilder();

    public CompletionStage<?> onText(WebSocket socket, CharSequence data, boolean last) {
        text.append(data);
        if (last) {
            System.out.println(text);
            if (text.indexOf("\"response.done\"") >= 0) done.countDown();
            text.setLength(0);
        }
        socket.request(1);
        return null;
    }

    public static void main(String[] arguments) throws Exception {
        RealtimeClient client = new RealtimeClient();
        WebSocket socket = HttpClient.newHttpClient().newWebSocketBuilder()
                .header("Authorization", "Bearer " + arguments[1])
                .buildAsync(URI.create(arguments[0]), client).get(20, TimeUnit.SECONDS);
        String audio = Base64.getEncoder().encodeToString(new byte[15 << 20]);
        String[] events = {
            "{\"session\":{\"type\":\"realtime\",\"audio\":{\"input\":{\"turn_detection\":null}}},\"type\":\"session.update\"}",
            "{\"audio\":\"" + audio + "\",\"type\":\"input_audio_buffer.append\",\"event_id\":\"event_1\"}",
            "{\"type\":\"input_audio_buffer.commit\",\"event_id\":\"event_2\"}",
            "{\"type\":\"response.create\",\"response\":{\"instructions\":\"Hello.\"}}",
        };
        for (String event : events) socket.sendText(event, true).get(20, TimeUnit.SECONDS);
        boolean heard = client.done.await(30, TimeUnit.SECONDS);
        socket.sendClose(WebSocket.NORMAL_CLOSURE, "").get(5, TimeUnit.SECONDS);
        System.exit(heard ? 0 : 1);
    }
}
