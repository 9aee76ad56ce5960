import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.MessageDigest;
import java.security.Security;
import java.security.Signature;
import java.security.spec.ECGenParameterSpec;
import org.bouncycastle.jce.provider.BouncyCastleProvider;

/** SM2 verifications and MB of SM3 a second of CPU, by Bouncy Castle, warmed up. */
public class BcBench {
    interface Work { void run() throws Exception; }

    static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

    /** The least nanoseconds of one of so many rounds. */
    static double least(int rounds, Work work) throws Exception {
        double least = Double.MAX_VALUE;
        for (int i = 0; i < rounds; i++) {
            long start = THREADS.getCurrentThreadCpuTime();
            work.run();
            least = Math.min(least, THREADS.getCurrentThreadCpuTime() - start);
        }
        return least;
    }

    public static void main(String[] arguments) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC", "BC");
        generator.initialize(new ECGenParameterSpec("sm2p256v1"));
        KeyPair pair = generator.generateKeyPair();
        Signature signing = Signature.getInstance("SM3withSM2", "BC");
        byte[] message = new byte[32];
        signing.initSign(pair.getPrivate());
        signing.update(message);
        byte[] value = signing.sign();
        double verify = least(60, () -> {
            for (int i = 0; i < 100; i++) {
                Signature verifying = Signature.getInstance("SM3withSM2", "BC");
                verifying.initVerify(pair.getPublic());
                verifying.update(message);
                if (!verifying.verify(value)) throw new IllegalStateException();
            }
        });
        System.out.printf("verify %.0f%n", 100e9 / verify);
        byte[] bytes = new byte[1 << 20];
        MessageDigest sm3 = MessageDigest.getInstance("SM3", "BC");
        System.out.printf("sm3 %.0f%n", bytes.length / least(300, () -> sm3.digest(bytes)) * 1e3);
    }
}
