import java.io.*; import java.nio.file.*; import java.security.*; import java.security.cert.*; import java.security.cert.Certificate; import java.util.*; import java.math.BigInteger;
import org.bouncycastle.asn1.*; import org.bouncycastle.asn1.cms.*; import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.cert.*; import org.bouncycastle.cert.jcajce.*; import org.bouncycastle.cert.ocsp.*;
import org.bouncycastle.cms.*; import org.bouncycastle.cms.jcajce.*; import org.bouncycastle.operator.*; import org.bouncycastle.operator.jcajce.*; import org.bouncycastle.tsp.*;

public class BcJudge {
  static byte[] rd(String f) throws Exception {                       // PEM or DER
    byte[] b = Files.readAllBytes(Paths.get(f));
    if (b[0] != '-') return b;
    StringBuilder s = new StringBuilder();
    for (String l : new String(b).split("\n")) if (!l.startsWith("-")) s.append(l.trim());
    return Base64.getDecoder().decode(s.toString());
  }
  static X509Certificate cert(String f) throws Exception {
    return (X509Certificate) CertificateFactory.getInstance("X.509", "BC").generateCertificate(new ByteArrayInputStream(rd(f)));
  }
  static ContentVerifierProvider cvp(X509Certificate c) throws Exception { return new JcaContentVerifierProviderBuilder().setProvider("BC").build(c); }
  static void need(boolean ok, String what) { if (!ok) throw new RuntimeException("REJECT " + what); }

  static void path(String[] a) throws Exception {                     // root inter... leaf [--crl file] [--at epoch]
    List<Certificate> mid = new ArrayList<>(); List<CRL> crls = new ArrayList<>(); Date at = null; List<String> f = new ArrayList<>();
    for (int i = 1; i < a.length; i++)
      if (a[i].equals("--crl")) crls.add(CertificateFactory.getInstance("X.509", "BC").generateCRL(new ByteArrayInputStream(rd(a[++i]))));
      else if (a[i].equals("--at")) at = new Date(1000L * Long.parseLong(a[++i])); else f.add(a[i]);
    X509Certificate root = cert(f.get(0));
    root.verify(root.getPublicKey(), "BC");                           // PKIX never checks the anchor's own signature
    for (int i = f.size() - 1; i > 0; i--) mid.add(cert(f.get(i)));
    PKIXParameters p = new PKIXParameters(Set.of(new TrustAnchor(root, null)));
    p.setRevocationEnabled(!crls.isEmpty()); if (at != null) p.setDate(at);
    if (!crls.isEmpty()) p.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(crls)));
    CertPathValidator.getInstance("PKIX", "BC").validate(CertificateFactory.getInstance("X.509", "BC").generateCertPath(mid), p);
  }
  static void crl(String[] a) throws Exception {                      // issuer crl
    X509CRLHolder h = new X509CRLHolder(rd(a[2])); X509Certificate i = cert(a[1]);
    need(h.getIssuer().equals(new JcaX509CertificateHolder(i).getSubject()), "issuer name");
    need(h.isSignatureValid(cvp(i)), "crl signature");
    System.out.println("entries " + h.getRevokedCertificates().size() + " next " + h.getNextUpdate());
  }
  static void ocsp(String[] a) throws Exception {                     // issuer leaf response [responder]
    BasicOCSPResp r = (BasicOCSPResp) new OCSPResp(rd(a[3])).getResponseObject();
    X509CertificateHolder iss = new JcaX509CertificateHolder(cert(a[1])), who = a.length > 4 ? new JcaX509CertificateHolder(cert(a[4])) : r.getCerts().length > 0 ? r.getCerts()[0] : iss;
    ContentVerifierProvider v = new JcaContentVerifierProviderBuilder().setProvider("BC").build(who);
    need(r.isSignatureValid(v), "ocsp signature");
    if (!who.equals(iss)) { need(who.isSignatureValid(cvp(cert(a[1]))), "responder not issued by CA");
      need(org.bouncycastle.asn1.x509.ExtendedKeyUsage.fromExtensions(who.getExtensions()).hasKeyPurposeId(org.bouncycastle.asn1.x509.KeyPurposeId.id_kp_OCSPSigning), "no OCSPSigning"); }
    SingleResp s = r.getResponses()[0];
    DigestCalculatorProvider d = new JcaDigestCalculatorProviderBuilder().setProvider("BC").build();
    need(s.getCertID().matchesIssuer(iss, d), "issuer hashes"); need(s.getCertID().getSerialNumber().equals(cert(a[2]).getSerialNumber()), "serial");
    System.out.println("status " + (s.getCertStatus() == CertificateStatus.GOOD ? "good" : s.getCertStatus().getClass().getSimpleName()) + " certid hash " + s.getCertID().getHashAlgOID());
  }
  static void tsp(String[] a) throws Exception {                      // tsaCert data token-or-response
    byte[] b = rd(a[3]); TimeStampToken t;
    ASN1Sequence q = ASN1Sequence.getInstance(b);
    t = q.getObjectAt(0) instanceof ASN1ObjectIdentifier ? new TimeStampToken(new CMSSignedData(b)) : new TimeStampResponse(b).getTimeStampToken();
    t.validate(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(cert(a[1])));   // signature, ESS cert id, EKU critical, validity at genTime
    MessageDigest m = MessageDigest.getInstance(t.getTimeStampInfo().getMessageImprintAlgOID().getId(), "BC");
    need(Arrays.equals(m.digest(Files.readAllBytes(Paths.get(a[2]))), t.getTimeStampInfo().getMessageImprintDigest()), "imprint");
    System.out.println("genTime " + t.getTimeStampInfo().getGenTime().toInstant() + " imprint " + m.getAlgorithm());
  }
  static void cms(String[] a) throws Exception {                      // signedData [detached content]  (PKCS#7 or GB/T 35275 OIDs)
    ContentInfo ci = ContentInfo.getInstance(ASN1Primitive.fromByteArray(rd(a[1])));
    SignedData sd = SignedData.getInstance(ci.getContent());
    byte[] data = a.length > 2 ? Files.readAllBytes(Paths.get(a[2])) : ASN1OctetString.getInstance(sd.getEncapContentInfo().getContent()).getOctets();
    int n = 0;
    for (ASN1Encodable e : sd.getSignerInfos()) {
      SignerInfo si = SignerInfo.getInstance(e); IssuerAndSerialNumber id = IssuerAndSerialNumber.getInstance(si.getSID().getId()); X509Certificate c = null;
      for (ASN1Encodable x : sd.getCertificates()) { X509CertificateHolder h = new X509CertificateHolder(x.toASN1Primitive().getEncoded());
        if (h.getIssuer().equals(id.getName()) && h.getSerialNumber().equals(id.getSerialNumber().getValue())) c = new JcaX509CertificateConverter().setProvider("BC").getCertificate(h); }
      need(c != null, "signer certificate not found");
      byte[] in = data;
      if (si.getAuthenticatedAttributes() != null) {
        Attribute md = new AttributeTable(si.getAuthenticatedAttributes()).get(CMSAttributes.messageDigest);
        need(Arrays.equals(MessageDigest.getInstance("SM3", "BC").digest(data), ASN1OctetString.getInstance(md.getAttrValues().getObjectAt(0)).getOctets()), "messageDigest");
        in = si.getAuthenticatedAttributes().getEncoded("DL");
      }
      need(sm2(c, in, si.getEncryptedDigest().getOctets()), "signature"); n++;
    }
    need(n > 0, "no signer"); System.out.println("signers " + n + " outer " + ci.getContentType() + " inner " + sd.getEncapContentInfo().getContentType());
  }
  static boolean sm2(X509Certificate c, byte[] in, byte[] s) throws Exception {
    if (s.length == 64) s = new DERSequence(new ASN1Encodable[]{ new ASN1Integer(new BigInteger(1, Arrays.copyOf(s, 32))), new ASN1Integer(new BigInteger(1, Arrays.copyOfRange(s, 32, 64))) }).getEncoded();
    Signature v = Signature.getInstance("SM3WITHSM2", "BC");         // default id 1234567812345678
    v.initVerify(c.getPublicKey()); v.update(in);
    try { return v.verify(s); } catch (SignatureException e) { return false; }
  }
  static X509Certificate x(ASN1Encodable o) throws Exception {
    return (X509Certificate) CertificateFactory.getInstance("X.509", "BC").generateCertificate(new ByteArrayInputStream(ASN1OctetString.getInstance(o).getOctets()));
  }
  static void seal(ASN1Sequence s) throws Exception {                 // V4/V5: 4-5 elements, V1: 2
    if (s.size() >= 4) need(sm2(x(s.getObjectAt(1)), s.getObjectAt(0).toASN1Primitive().getEncoded(), ((ASN1BitString) s.getObjectAt(3)).getOctets()), "seal signature");
    else { ASN1Sequence i = (ASN1Sequence) s.getObjectAt(1);
      need(sm2(x(i.getObjectAt(0)), new DERSequence(new ASN1Encodable[]{ s.getObjectAt(0), i.getObjectAt(0), i.getObjectAt(1) }).getEncoded(), ((ASN1BitString) i.getObjectAt(2)).getOctets()), "seal signature"); }
  }
  static void ses(String[] a) throws Exception {                      // SESeal | SES_Signature signedFile
    ASN1Sequence s = ASN1Sequence.getInstance(rd(a[1])), t = (ASN1Sequence) s.getObjectAt(0);
    if (!(t.getObjectAt(0) instanceof ASN1Integer)) { seal(s); System.out.println("seal only"); return; }
    ASN1Sequence es = (ASN1Sequence) t.getObjectAt(1);
    boolean v1 = s.size() == 2; ASN1Encodable c = v1 ? t.getObjectAt(5) : s.getObjectAt(1), g = v1 ? s.getObjectAt(1) : s.getObjectAt(3);
    need(sm2(x(c), t.getEncoded(), ((ASN1BitString) g).getOctets()), "signer signature");
    seal(es);
    ASN1Sequence pr = (ASN1Sequence) ((ASN1Sequence) es.getObjectAt(0)).getObjectAt(2); boolean listed = false;
    for (ASN1Encodable o : (ASN1Sequence) pr.getObjectAt(v1 ? 2 : 3)) listed |= o instanceof ASN1OctetString && Arrays.equals(((ASN1OctetString) o).getOctets(), ASN1OctetString.getInstance(c).getOctets());
    need(listed, "signer not in seal list");
    need(Arrays.equals(MessageDigest.getInstance("SM3", "BC").digest(Files.readAllBytes(Paths.get(a[2]))), ((ASN1BitString) t.getObjectAt(3)).getOctets()), "dataHash");
    System.out.println((v1 ? "V1" : "V4+") + " signer " + x(c).getSubjectX500Principal());
  }
  static byte[] ent(java.util.zip.ZipFile z, String base, String loc) throws Exception {
    String n = loc.startsWith("/") ? loc.substring(1) : base + loc; java.util.zip.ZipEntry e = z.getEntry(n);
    if (e == null && !loc.startsWith("/")) e = z.getEntry(n = loc);
    need(e != null, "no entry " + n); last = n.substring(0, n.lastIndexOf('/') + 1); return z.getInputStream(e).readAllBytes();
  }
  static String last = "";
  static org.w3c.dom.Document xml(byte[] b) throws Exception { javax.xml.parsers.DocumentBuilderFactory f = javax.xml.parsers.DocumentBuilderFactory.newInstance(); f.setNamespaceAware(true);
    f.setFeature("http://apache.org/xml/features/disallow-doctype-decl", true); return f.newDocumentBuilder().parse(new ByteArrayInputStream(b)); }
  static org.w3c.dom.NodeList els(org.w3c.dom.Document d, String n) { return d.getElementsByTagNameNS("*", n); }
  static void ofd(String[] a) throws Exception {                      // package : every signature, every reference
    MessageDigest sm3 = MessageDigest.getInstance("SM3", "BC"); Path t1 = Files.createTempFile("sv", ""), t2 = Files.createTempFile("sx", ""); int bad = 0;
    try (java.util.zip.ZipFile z = new java.util.zip.ZipFile(a[1])) {
      org.w3c.dom.NodeList L = els(xml(ent(z, "", "OFD.xml")), "Signatures"); need(L.getLength() > 0, "unsigned");
      org.w3c.dom.NodeList S = els(xml(ent(z, "", L.item(0).getTextContent().trim())), "Signature"); String lb = last; need(S.getLength() > 0, "empty list");
      for (int i = 0; i < S.getLength(); i++) { org.w3c.dom.Element se = (org.w3c.dom.Element) S.item(i); String r = "";
        try { byte[] sx = ent(z, lb, se.getAttribute("BaseLoc")); String sb = last; org.w3c.dom.Document d = xml(sx);
          byte[] sv = ent(z, sb, els(d, "SignedValue").item(0).getTextContent().trim()); Files.write(t1, sv); Files.write(t2, sx);
          try { if ("Sign".equalsIgnoreCase(se.getAttribute("Type"))) cms(new String[]{ "", t1.toString(), t2.toString() }); else ses(new String[]{ "", t1.toString(), t2.toString() }); } catch (Exception e) { r += " [value: " + e.getMessage() + "]"; }
          org.w3c.dom.NodeList R = els(d, "Reference"); need(R.getLength() > 0, "no references");
          for (int k = 0; k < R.getLength(); k++) { org.w3c.dom.Element e = (org.w3c.dom.Element) R.item(k); byte[] h;
            try { h = sm3.digest(ent(z, "", e.getAttribute("FileRef"))); } catch (RuntimeException x) { r += " [missing " + e.getAttribute("FileRef") + "]"; continue; }
            if (!Arrays.equals(h, Base64.getDecoder().decode(e.getTextContent().trim()))) r += " [digest " + e.getAttribute("FileRef") + "]"; }
          if (els(d, "Seal").getLength() > 0) { byte[] es = ent(z, sb, ((org.w3c.dom.Element) els(d, "Seal").item(0)).getAttribute("BaseLoc").isEmpty() ? els(d, "Seal").item(0).getTextContent().trim() : ((org.w3c.dom.Element) els(d, "Seal").item(0)).getAttribute("BaseLoc"));
            if (!Arrays.equals(es, ((ASN1Sequence) ASN1Sequence.getInstance(sv).getObjectAt(0)).getObjectAt(1).toASN1Primitive().getEncoded())) r += " [seal file differs]"; }
        } catch (Exception e) { r += " [" + e + "]"; }
        System.out.println("  sig " + se.getAttribute("ID") + (r.isEmpty() ? " ok" : r)); if (!r.isEmpty()) bad++; }
    }
    need(bad == 0, bad + " bad signature(s)");
  }
  public static void main(String[] a) {
    Security.addProvider(new org.bouncycastle.jce.provider.BouncyCastleProvider());
    try { switch (a[0]) { case "path": path(a); break; case "crl": crl(a); break; case "ocsp": ocsp(a); break; case "tsp": tsp(a); break; case "cms": cms(a); break; case "ses": ses(a); break; case "ofd": ofd(a); break; default: throw new RuntimeException("?"); }
      System.out.println("ACCEPT " + a[0]); }
    catch (Throwable e) { System.out.println("REJECT " + a[0] + ": " + e + (e.getCause() != null ? " / " + e.getCause() : "")); System.exit(1); }
  }
}
