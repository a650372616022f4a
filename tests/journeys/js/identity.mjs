// An application with amazon-cognito-identity-js, told by Python what to do (commands.mjs).

import { AuthenticationDetails, CognitoUser, CognitoUserAttribute, CognitoUserPool } from "amazon-cognito-identity-js";
import { Storage, obey } from "./commands.mjs";

const storage = new Storage();
let pool, user;

// Callbacks of a sign-in, as one promise of what is asked next: null when nothing is.
function step(start) {
  return new Promise((resolve, reject) => {
    const ask = (asked) => (about, parameters) => resolve({ asked, about: parameters ?? about });
    start({
      onSuccess: () => resolve({ asked: null }),
      onFailure: reject,
      customChallenge: ask("CUSTOM_CHALLENGE"),
      mfaRequired: ask("SMS_MFA"),
      mfaSetup: ask("MFA_SETUP"),
      newPasswordRequired: (known, required) => resolve({ asked: "NEW_PASSWORD_REQUIRED", about: { known, required } }),
      selectMFAType: ask("SELECT_MFA_TYPE"),
      totpRequired: ask("SOFTWARE_TOKEN_MFA"),
    });
  });
}

// Callbacks of everything else.
function done(start) {
  return new Promise((resolve, reject) => {
    const both = (error, result) => (error ? reject(error) : resolve(result));
    start(Object.assign(both, { onSuccess: resolve, onFailure: reject, associateSecretCode: resolve }));
  });
}

const named = (Username) => new CognitoUser({ Username, Pool: pool, Storage: storage });

obey({
  configure({ userPoolId, clientId, endpoint }) {
    pool = new CognitoUserPool({ UserPoolId: userPoolId, ClientId: clientId, endpoint, Storage: storage });
    // It would repeat whatever is refused five times, over six seconds.
    pool.client.requestWithRetry = pool.client.request;
  },

  async signUp({ username, password, attributes }) {
    const given = Object.entries(attributes).map(([Name, Value]) => new CognitoUserAttribute({ Name, Value }));
    const { userSub } = await done((callback) => pool.signUp(username, password, given, null, callback));
    return userSub;
  },
  confirmSignUp: ({ username, code }) => done((callback) => named(username).confirmRegistration(code, false, callback)),

  signIn({ username, password, flow }) {
    user = named(username);
    if (flow) user.setAuthenticationFlowType(flow);
    const details = new AuthenticationDetails({ Username: username, Password: password });
    // Without a password there is no SRP: the customer's own challenges are all there is.
    const how = password ? "authenticateUser" : "initiateAuth";
    return step((callback) => user[how](details, callback));
  },
  answer: ({ asked, code }) =>
    step((callback) =>
      asked === "CUSTOM_CHALLENGE"
        ? user.sendCustomChallengeAnswer(code, callback)
        : user.sendMFACode(code, callback, asked),
    ),
  choose: ({ factor }) => step((callback) => user.sendMFASelectionAnswer(factor, callback)),
  newPassword: ({ password, attributes }) =>
    step((callback) => user.completeNewPasswordChallenge(password, attributes, callback)),

  async associate() {
    return done((callback) => user.associateSoftwareToken(callback));
  },
  async verify({ code, name }) {
    await done((callback) => user.verifySoftwareToken(code, name, callback));
  },
  prefer: () => done((callback) => user.setUserMfaPreference(null, { Enabled: true, PreferredMfa: true }, callback)),

  device: () => ({ key: user.deviceKey ?? null }),
  remember: () => done((callback) => user.setDeviceStatusRemembered(callback)),
  devices: async () =>
    (await done((callback) => user.listDevices(10, null, callback))).Devices.map((one) => one.DeviceKey),

  async profile() {
    const found = await done((callback) => user.getUserAttributes(callback));
    return Object.fromEntries(found.map((one) => [one.getName(), one.getValue()]));
  },
  async change({ attributes }) {
    const given = Object.entries(attributes).map(([Name, Value]) => new CognitoUserAttribute({ Name, Value }));
    await done((callback) => user.updateAttributes(given, callback));
  },
  changePassword: ({ before, after }) => done((callback) => user.changePassword(before, after, callback)),

  tokens() {
    const session = user.getSignInUserSession();
    return {
      access: session.getAccessToken().getJwtToken(),
      id: session.getIdToken().getJwtToken(),
      refresh: session.getRefreshToken().getToken(),
    };
  },
  async refresh() {
    const session = await done((callback) =>
      user.refreshSession(user.getSignInUserSession().getRefreshToken(), callback),
    );
    return session.getAccessToken().getJwtToken();
  },
  signOut: () => done((callback) => user.signOut(callback)),
  async signOutEverywhere() {
    await done((callback) => user.globalSignOut(callback));
  },
});
