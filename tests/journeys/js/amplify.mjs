// An application with Amplify v6, told by Python what to do (commands.mjs).

import * as auth from "@aws-amplify/auth";
import { cognitoUserPoolsTokenProvider } from "@aws-amplify/auth/cognito";
import { Amplify } from "@aws-amplify/core";
import { Storage, obey } from "./commands.mjs";

// Where there is none, as in Node 20, it finds no name for a device, and silently does without.
globalThis.navigator ??= { userAgent: `Node ${process.version}` };

const STEPS = {
  DONE: null,
  CONFIRM_SIGN_IN_WITH_CUSTOM_CHALLENGE: "CUSTOM_CHALLENGE",
  CONFIRM_SIGN_IN_WITH_EMAIL_CODE: "EMAIL_OTP",
  CONFIRM_SIGN_IN_WITH_NEW_PASSWORD_REQUIRED: "NEW_PASSWORD_REQUIRED",
  CONFIRM_SIGN_IN_WITH_PASSWORD: "PASSWORD",
  CONFIRM_SIGN_IN_WITH_SMS_CODE: "SMS_MFA",
  CONFIRM_SIGN_IN_WITH_TOTP_CODE: "SOFTWARE_TOKEN_MFA",
  CONFIRM_SIGN_UP: "CONFIRM_SIGN_UP",
  CONTINUE_SIGN_IN_WITH_FIRST_FACTOR_SELECTION: "SELECT_CHALLENGE",
  CONTINUE_SIGN_IN_WITH_MFA_SELECTION: "SELECT_MFA_TYPE",
  CONTINUE_SIGN_IN_WITH_TOTP_SETUP: "MFA_SETUP",
  RESET_PASSWORD: "RESET_PASSWORD",
};
const FLOWS = { CUSTOM_AUTH: ["CUSTOM_WITHOUT_SRP", "CUSTOM_WITH_SRP"] };

function step({ nextStep }) {
  const { signInStep, totpSetupDetails, ...about } = nextStep;
  if (!(signInStep in STEPS)) throw new Error(`unexpected step ${signInStep}`);
  return { asked: STEPS[signInStep], about: { ...about, secret: totpSetupDetails?.sharedSecret } };
}

async function session(options) {
  const { tokens } = await auth.fetchAuthSession(options);
  if (!tokens) throw new Error("there are no tokens");
  return tokens;
}

obey({
  configure({ userPoolId, clientId, endpoint }) {
    const Auth = { Cognito: { userPoolId, userPoolClientId: clientId, userPoolEndpoint: endpoint } };
    // The package aws-amplify does these two by itself.
    cognitoUserPoolsTokenProvider.setAuthConfig(Auth);
    cognitoUserPoolsTokenProvider.setKeyValueStorage(new Storage());
    Amplify.configure({ Auth }, { Auth: { tokenProvider: cognitoUserPoolsTokenProvider } });
  },

  async signUp({ username, password, attributes, autoSignIn }) {
    return (await auth.signUp({ username, password, options: { userAttributes: attributes, autoSignIn } })).userId;
  },
  async confirmSignUp({ username, code }) {
    return (await auth.confirmSignUp({ username, confirmationCode: code })).nextStep.signUpStep;
  },
  autoSignIn: async () => step(await auth.autoSignIn()),

  async signIn({ username, password, flow, first }) {
    const authFlowType = FLOWS[flow]?.[password ? 1 : 0] ?? flow;
    return step(await auth.signIn({ username, password, options: { authFlowType, preferredChallenge: first } }));
  },
  answer: async ({ code }) => step(await auth.confirmSignIn({ challengeResponse: code })),
  choose: async ({ factor }) => step(await auth.confirmSignIn({ challengeResponse: factor })),
  newPassword: async ({ password, attributes }) =>
    step(await auth.confirmSignIn({ challengeResponse: password, options: { userAttributes: attributes } })),

  associate: async () => (await auth.setUpTOTP()).sharedSecret,
  verify: ({ code, name }) => auth.verifyTOTPSetup({ code, options: { friendlyDeviceName: name } }),
  prefer: () => auth.updateMFAPreference({ totp: "PREFERRED" }),

  device: async () => ({
    key: (await cognitoUserPoolsTokenProvider.tokenOrchestrator.getDeviceMetadata())?.deviceKey ?? null,
  }),
  remember: () => auth.rememberDevice(),
  devices: async () => (await auth.fetchDevices()).map((one) => one.id),
  forgetDevice: () => auth.forgetDevice(),

  profile: () => auth.fetchUserAttributes(),
  async change({ attributes }) {
    await auth.updateUserAttributes({ userAttributes: attributes });
  },
  changePassword: ({ before, after }) => auth.updatePassword({ oldPassword: before, newPassword: after }),

  async tokens() {
    const { accessToken, idToken } = await session();
    const kept = await cognitoUserPoolsTokenProvider.tokenOrchestrator.getTokenStore().loadTokens();
    return { access: accessToken.toString(), id: idToken.toString(), refresh: kept.refreshToken };
  },
  refresh: async () => (await session({ forceRefresh: true })).accessToken.toString(),
  signOut: () => auth.signOut(),
  signOutEverywhere: () => auth.signOut({ global: true }),
});
